package document

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
	"github.com/watchbill/watchbill/internal/platform/tagging"
)

// ListDocumentVersions lists versions, newest first.
func (s *Service) ListDocumentVersions(ctx context.Context, in *ssm.ListDocumentVersionsInput) (*ssm.ListDocumentVersionsOutput, error) {
	below := int64(math.MaxInt64)
	if err := page.Parse(ptr.Value(in.NextToken), &below); err != nil {
		return nil, badToken()
	}
	size := sizeOf(in.MaxResults, 50)
	var out *ssm.ListDocumentVersionsOutput
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		out = &ssm.ListDocumentVersionsOutput{DocumentVersions: []ssm.DocumentVersionInfo{}}
		h, _, err := findVisible(tx, *in.Name)
		if err != nil {
			return err
		}
		found, err := versionsOf(tx, h, below, size+1)
		if err != nil {
			return err
		}
		if len(found) > size {
			found = found[:size]
			out.NextToken = new(page.Token(found[size-1].Number))
		}
		for _, v := range found {
			out.DocumentVersions = append(out.DocumentVersions, ssm.DocumentVersionInfo{
				Name: new(h.Name), DocumentVersion: new(number(v.Number)), VersionName: some(v.Name), DisplayName: some(v.DisplayName),
				CreatedDate: new(v.Created), IsDefaultVersion: new(v.Number == h.Default), DocumentFormat: v.Format,
				Status: cmp.Or(v.Status, ssm.DocumentStatusActive), ReviewStatus: v.Review,
			})
		}
		return nil
	})
	return out, err
}

// versionsOf lists the versions that the caller may see.
func versionsOf(tx *db.Tx, h *head, below int64, limit int) ([]*version, error) {
	if h.Owner == amazon {
		if below <= 1 {
			return nil, nil
		}
		return []*version{ownedVersion(h.Name, 1)}, nil
	}
	if h.Shared == "$DEFAULT" || h.Shared == "$LATEST" {
		v, err := pick(tx, h, h.Shared, "")
		if err != nil || v.Number >= below {
			return nil, err
		}
		return []*version{v}, nil
	}
	return listVersions(tx, h, below, limit)
}

// ListDocuments lists documents by name: the account's own, those of AWS, and
// those that other accounts share with it or with all.
func (s *Service) ListDocuments(ctx context.Context, in *ssm.ListDocumentsInput) (*ssm.ListDocumentsOutput, error) {
	want, err := readFilters(in)
	if err != nil {
		return nil, err
	}
	var after position
	if err := page.Parse(ptr.Value(in.NextToken), &after); err != nil {
		return nil, badToken()
	}
	size := sizeOf(in.MaxResults, 50)
	var out *ssm.ListDocumentsOutput
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		out = &ssm.ListDocumentsOutput{DocumentIdentifiers: []ssm.DocumentIdentifier{}}
		found, err := want.list(tx, after, size+1)
		if err != nil {
			return err
		}
		if len(found) > size {
			found = found[:size]
			out.NextToken = new(page.Token(found[size-1].position()))
		}
		return identify(tx, found, out)
	})
	return out, err
}

// position is where a list of documents goes on: the same name may occur in
// several accounts.
type position struct{ Name, Account string }

// listed is a document in a list with its default version.
type listed struct {
	head    *head
	version *version
}

func (l listed) position() position { return position{l.head.Name, l.head.Account} }

func (p position) compare(o position) int {
	if c := strings.Compare(p.Name, o.Name); c != 0 {
		return c
	}
	return strings.Compare(p.Account, o.Account)
}

// list merges what is stored with the documents of AWS.
func (f *filters) list(tx *db.Tx, after position, limit int) ([]listed, error) {
	found, err := f.stored(tx, after, limit)
	if err != nil {
		return nil, err
	}
	if f.owned() {
		for _, name := range ownedNames() {
			o := listed{ownedHead(name), ownedVersion(name, 1)}
			if o.position().compare(after) > 0 && f.matches(o) {
				found = append(found, o)
			}
		}
	}
	slices.SortFunc(found, func(a, b listed) int { return a.position().compare(b.position()) })
	return found[:min(limit, len(found))], nil
}

const selectDocuments = `select v.version, v.version_name, v.display_name, v.format, v.hash, v.schema_version, v.target_type, v.author,
	v.platforms, v.requires, v.attachments, v.review, v.created, v.status, v.status_information, v.fetch_id,
	d.account, d.region, d.name, d.type, d.default_version, d.latest_version, d.last_version, d.created
	from document_document d join document_version v
	on v.account = d.account and v.region = d.region and v.name = d.name and v.version = d.default_version`

func (f *filters) stored(tx *db.Tx, after position, limit int) ([]listed, error) {
	q := f.query(tx)
	if q == nil {
		return nil, nil
	}
	q.And("(d.name > ? or d.name = ? and d.account > ?)", after.Name, after.Name, after.Account)
	q.Args = append(q.Args, limit)
	query := selectDocuments + q.Where() + " order by d.name, d.account limit " + placeholder(len(q.Args))
	return db.Rows(tx, query, q.Args, func(r *sql.Rows) (listed, error) {
		var h head
		var created int64
		v, err := scanVersion(r, &h.Account, &h.Region, &h.Name, &h.Type, &h.Default, &h.Latest, &h.Last, &created)
		h.Created, h.Owner = db.FromMicros(created), h.Account
		return listed{&h, v}, err
	})
}

func identify(tx *db.Tx, found []listed, out *ssm.ListDocumentsOutput) error {
	names := []string{}
	for _, l := range found {
		if l.head.Account == tx.Scope.Account {
			names = append(names, l.head.Name)
		}
	}
	tags, err := tagging.GetAll(tx, kind, names)
	if err != nil {
		return err
	}
	for _, l := range found {
		h, v := l.head, l.version
		id := ssm.DocumentIdentifier{
			Name: new(h.Name), Owner: new(h.Owner), DocumentType: h.Type, DocumentVersion: new(number(v.Number)), DocumentFormat: v.Format,
			VersionName: some(v.Name), DisplayName: some(v.DisplayName), SchemaVersion: some(v.Schema), TargetType: some(v.TargetType),
			PlatformTypes: v.Platforms, Requires: v.Requires, ReviewStatus: v.Review, Author: some(v.Author), CreatedDate: new(h.Created),
			Tags: []ssm.Tag{},
		}
		if h.Account == tx.Scope.Account {
			id.Tags = tagList(tags[h.Name])
		}
		out.DocumentIdentifiers = append(out.DocumentIdentifiers, id)
	}
	return nil
}

func tagList(tags map[string]string) []ssm.Tag {
	out := make([]ssm.Tag, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, ssm.Tag{Key: new(k), Value: new(tags[k])})
	}
	return out
}
