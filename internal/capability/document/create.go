package document

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// maxVersions is how many versions one document may have.
// https://docs.aws.amazon.com/general/latest/gr/ssm.html
const maxVersions = 1000

// reserved are the prefixes that only documents of AWS have, in any case.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateDocument.html
var reserved = []string{"aws", "amazon", "amzn"}

// CreateDocument adds a document with its first version.
func (s *Service) CreateDocument(ctx context.Context, in *ssm.CreateDocumentInput) (*ssm.CreateDocumentOutput, error) {
	name := *in.Name
	for _, prefix := range reserved {
		if strings.HasPrefix(strings.ToLower(name), prefix) {
			return nil, fault.Validation("Document name %s must not begin with aws, amazon or amzn: these are reserved for documents of AWS.", name)
		}
	}
	h := &head{Name: name, Type: cmp.Or(in.DocumentType, ssm.DocumentTypeCommand), Default: 1, Latest: 1, Last: 1}
	v := &version{
		Number: 1, Name: ptr.Value(in.VersionName), DisplayName: ptr.Value(in.DisplayName), Format: cmp.Or(in.DocumentFormat, ssm.DocumentFormatJson),
		Content: *in.Content, TargetType: ptr.Value(in.TargetType), Requires: in.Requires, Attachments: in.Attachments,
	}
	doc, err := check(h.Type, v)
	if err != nil {
		return nil, err
	}
	if err := s.allowContent(ctx, v.Content, v.Attachments); err != nil {
		return nil, err
	}
	if len(v.Attachments) > 0 {
		begin(v, ssm.DocumentStatusCreating)
	}
	if h.Type == ssm.DocumentTypeAutomationChangeTemplate {
		v.Review = ssm.ReviewStatusNotReviewed
	}
	tags, err := tagging.Pairs(in.Tags, func(t ssm.Tag) (*string, *string) { return t.Key, t.Value })
	if err != nil {
		return nil, err
	}
	out := &ssm.CreateDocumentOutput{}
	err = s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		h.Account, h.Region, h.Owner, h.Created = tx.Scope.Account, tx.Scope.Region, tx.Scope.Account, tx.Now
		v.Author, v.Created = journal.ActorOf(ctx), tx.Now
		if err := createHead(tx, h); err != nil {
			return err
		}
		if err := createVersion(tx, h, v); err != nil {
			return err
		}
		if err := s.settle(tx, h, v); err != nil {
			return err
		}
		if err := setTags(tx, name, tags); err != nil {
			return err
		}
		out.DocumentDescription, err = describe(tx, h, v, doc)
		if err != nil {
			return err
		}
		return s.record(tx, "document.created", h, v, nil)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func setTags(tx *db.Tx, name string, tags map[string]string) error {
	err := tagging.Set(tx, kind, name, tags)
	if errors.Is(err, tagging.ErrTooMany) {
		return &ssm.TooManyTagsError{Message: "A document can have at most 50 tags."}
	}
	return err
}

// UpdateDocument adds a version. The latest moves to it, the default does not.
func (s *Service) UpdateDocument(ctx context.Context, in *ssm.UpdateDocumentInput) (*ssm.UpdateDocumentOutput, error) {
	if err := s.allowContent(ctx, *in.Content, in.Attachments); err != nil {
		return nil, err
	}
	out := &ssm.UpdateDocumentOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		h, err := s.changeable(tx, *in.Name)
		if err != nil {
			return err
		}
		v, doc, err := nextVersion(tx, h, in)
		if err != nil {
			return err
		}
		v.Author, v.Created = journal.ActorOf(ctx), tx.Now
		h.Latest, h.Last = v.Number, v.Number
		if err := createVersion(tx, h, v); err != nil {
			return err
		}
		if err := saveHead(tx, h); err != nil {
			return err
		}
		if err := s.settle(tx, h, v); err != nil {
			return err
		}
		if out.DocumentDescription, err = describe(tx, h, v, doc); err != nil {
			return err
		}
		return s.record(tx, "document.updated", h, v, nil)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// changeable is a document that the caller's account may change. Those of AWS
// belong to nobody here.
func (s *Service) changeable(tx *db.Tx, name string) (*head, error) {
	h, err := ownHead(tx, lockHead, name)
	if err != nil && name != preferences && ownedHead(name) != nil {
		return nil, &ssm.InvalidDocumentOperation{Message: fmt.Sprintf("Document %s belongs to Amazon and cannot be changed.", name)}
	}
	return h, err
}

// nextVersion builds the version that an update asks for, on top of the latest.
//
// Assumption: what the update leaves out (format, target type, display name,
// attachments) is taken from the latest version.
func nextVersion(tx *db.Tx, h *head, in *ssm.UpdateDocumentInput) (*version, *ssmdoc.Document, error) {
	if n, err := numberFor(h, cmp.Or(ptr.Value(in.DocumentVersion), "$LATEST")); err != nil || n != h.Latest {
		return nil, nil, &ssm.InvalidDocumentVersion{Message: "Only the latest version of a document can be updated."}
	}
	latest, err := pick(tx, h, "$LATEST", "")
	if err != nil {
		return nil, nil, err
	}
	if latest.Schema == "1.2" {
		return nil, nil, &ssm.InvalidDocumentSchemaVersion{Message: "A document of schema version 1.2 cannot be updated; create a new one."}
	}
	if err := checkRoom(tx, h, ptr.Value(in.VersionName)); err != nil {
		return nil, nil, err
	}
	v := &version{
		Number: h.Last + 1, Name: ptr.Value(in.VersionName), DisplayName: cmp.Or(ptr.Value(in.DisplayName), latest.DisplayName),
		Format: cmp.Or(in.DocumentFormat, latest.Format), Content: *in.Content, TargetType: cmp.Or(ptr.Value(in.TargetType), latest.TargetType),
		Requires: latest.Requires, Attachments: latest.Attachments,
	}
	if in.Attachments != nil {
		v.Attachments = in.Attachments
	} else if err := inherit(tx, h, latest, v); err != nil {
		return nil, nil, err
	}
	if len(in.Attachments) > 0 {
		begin(v, ssm.DocumentStatusUpdating)
	}
	if latest.Review != "" {
		v.Review = ssm.ReviewStatusNotReviewed
	}
	doc, err := check(h.Type, v)
	if err != nil {
		return nil, nil, err
	}
	var refused *refusal
	if errors.As(verify(doc, v.inherited), &refused) {
		return nil, nil, &ssm.InvalidDocumentContent{Message: refused.text}
	}
	if v.Hash == latest.Hash && latest.Status != ssm.DocumentStatusFailed {
		return nil, nil, &ssm.DuplicateDocumentContent{Message: "The content of the document matches its latest version. Change the content and try again."}
	}
	return v, doc, nil
}

func checkRoom(tx *db.Tx, h *head, versionName string) error {
	count, _, err := versions(tx, h)
	if err != nil {
		return err
	}
	if count >= maxVersions {
		return &ssm.DocumentVersionLimitExceeded{Message: fmt.Sprintf("The document has %d versions. Delete one and try again.", count)}
	}
	n, err := numberOf(tx, h, versionName)
	if err != nil {
		return err
	}
	if n != 0 {
		return &ssm.DuplicateDocumentVersionName{Message: fmt.Sprintf("The version name %s is used by version %d.", versionName, n)}
	}
	return nil
}

// check parses the content of a new version, holds it against the rules of the
// type and fills what follows from it.
func check(documentType ssm.DocumentType, v *version) (*ssmdoc.Document, error) {
	if len(v.Content) > ssmdoc.MaxContent {
		return nil, &ssm.MaxDocumentSizeExceeded{Message: fmt.Sprintf("The content has %d bytes, the limit is %d.", len(v.Content), ssmdoc.MaxContent)}
	}
	doc, err := ssmdoc.Parse([]byte(v.Content), string(v.Format))
	if err != nil {
		return nil, &ssm.InvalidDocumentContent{Message: err.Error()}
	}
	var schema *ssmdoc.SchemaError
	switch err := doc.Validate(string(documentType)); {
	case errors.As(err, &schema):
		return nil, &ssm.InvalidDocumentSchemaVersion{Message: schema.Error()}
	case err != nil:
		return nil, &ssm.InvalidDocumentContent{Message: err.Error()}
	}
	from, err := sources(v, doc)
	if err != nil {
		return nil, err
	}
	if err := checkSums(doc, from); err != nil {
		return nil, err
	}
	v.Hash, v.Schema, v.Platforms = ssmdoc.Hash([]byte(v.Content)), doc.SchemaVersion, platforms(doc, documentType)
	return doc, nil
}

// record writes a fact about a version of a document.
func (s *Service) record(tx *db.Tx, fact string, h *head, v *version, more map[string]any) error {
	body := map[string]any{"name": h.Name, "type": h.Type}
	if v != nil {
		body["version"], body["hash"] = number(v.Number), v.Hash
	}
	for k, value := range more {
		body[k] = value
	}
	return s.Journal.Record(tx, journal.Fact{Kind: fact, Subject: h.arn(tx), Body: body})
}
