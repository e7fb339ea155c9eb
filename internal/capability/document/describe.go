package document

import (
	"cmp"
	"context"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// DescribeDocument answers a version without its content.
func (s *Service) DescribeDocument(ctx context.Context, in *ssm.DescribeDocumentInput) (*ssm.DescribeDocumentOutput, error) {
	var out *ssm.DocumentDescription
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		h, v, err := find(tx, *in.Name, ptr.Value(in.DocumentVersion), ptr.Value(in.VersionName))
		if err != nil {
			return err
		}
		doc, err := s.parsed.get(v)
		if err != nil {
			return err
		}
		out, err = describe(tx, h, v, doc)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &ssm.DescribeDocumentOutput{Document: out}, nil
}

// GetDocument answers a version with its content, as JSON or YAML when asked.
func (s *Service) GetDocument(ctx context.Context, in *ssm.GetDocumentInput) (*ssm.GetDocumentOutput, error) {
	var out *ssm.GetDocumentOutput
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		h, v, err := find(tx, *in.Name, ptr.Value(in.DocumentVersion), ptr.Value(in.VersionName))
		if err != nil {
			return err
		}
		format := cmp.Or(in.DocumentFormat, v.Format)
		content, err := ssmdoc.Convert([]byte(v.Content), string(v.Format), string(format))
		if err != nil {
			return fault.Validation("%v", err)
		}
		out = &ssm.GetDocumentOutput{
			Name: new(h.Name), Content: new(string(content)), CreatedDate: new(v.Created), DisplayName: some(v.DisplayName),
			DocumentFormat: format, DocumentType: h.Type, DocumentVersion: new(number(v.Number)), VersionName: some(v.Name),
			Requires: v.Requires, ReviewStatus: v.Review, Status: cmp.Or(v.Status, ssm.DocumentStatusActive), StatusInformation: some(v.StatusInformation),
		}
		files, err := filesOf(tx, h, v)
		out.AttachmentsContent = s.attachmentsContent(files, tx.Now)
		return err
	})
	return out, err
}

// find is the version that DescribeDocument and GetDocument are asked for.
func find(tx *db.Tx, name, selector, versionName string) (*head, *version, error) {
	h, inARN, err := findVisible(tx, name)
	if err != nil {
		return nil, nil, err
	}
	v, err := pick(tx, h, cmp.Or(selector, inARN), versionName)
	return h, v, err
}

// some is nil for the empty text.
func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// describe fills a DocumentDescription.
func describe(tx *db.Tx, h *head, v *version, doc *ssmdoc.Document) (*ssm.DocumentDescription, error) {
	d := &ssm.DocumentDescription{
		Name: new(h.Name), Owner: new(h.Owner), DocumentType: h.Type, CreatedDate: new(v.Created),
		DocumentVersion: new(number(v.Number)), DefaultVersion: new(number(h.Default)), LatestVersion: new(number(h.Latest)),
		VersionName: some(v.Name), DisplayName: some(v.DisplayName), DocumentFormat: v.Format,
		Hash: new(v.Hash), HashType: ssm.DocumentHashTypeSha256, SchemaVersion: some(v.Schema), TargetType: some(v.TargetType),
		PlatformTypes: v.Platforms, Requires: v.Requires, Author: some(v.Author), ReviewStatus: v.Review,
		Status: cmp.Or(v.Status, ssm.DocumentStatusActive), StatusInformation: some(v.StatusInformation), Description: some(doc.Description), Parameters: parameters(doc),
	}
	files, err := filesOf(tx, h, v)
	if err != nil {
		return nil, err
	}
	d.AttachmentsInformation = attachmentsInformation(v, files)
	if h.Owner == amazon {
		return d, nil
	}
	if h.Account == tx.Scope.Account {
		tags, err := tagging.Get(tx, kind, h.Name)
		if err != nil {
			return nil, err
		}
		d.Tags = tagList(tags)
	}
	return d, fillReview(tx, h, v, d)
}

// parameters lists the declared parameters with their defaults as text.
func parameters(doc *ssmdoc.Document) []ssm.DocumentParameter {
	var out []ssm.DocumentParameter
	for _, p := range doc.Parameters {
		d := ssm.DocumentParameter{Name: new(p.Name), Type: ssm.DocumentParameterType(p.Type), Description: some(p.Description)}
		if p.Default != nil {
			if t, err := ssmdoc.Text(p.Default.Any()); err == nil {
				d.DefaultValue = new(t)
			}
		}
		out = append(out, d)
	}
	return out
}
