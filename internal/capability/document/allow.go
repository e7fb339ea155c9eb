package document

import (
	"context"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// allowContent asks whether the caller may pass the role that a runbook would
// act as, and read the documents whose attachments it takes over.
func (s *Service) allowContent(ctx context.Context, content string, attachments []ssm.AttachmentsSource) error {
	for _, role := range passedRoles(content) {
		if err := s.Allow(ctx, "iam:PassRole", role); err != nil {
			return err
		}
	}
	for _, a := range attachments {
		if err := s.allowSource(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// allowSource asks for one attachment: a document, or an object. A directory is asked
// for as all that is below it.
func (s *Service) allowSource(ctx context.Context, a ssm.AttachmentsSource) error {
	if len(a.Values) != 1 {
		return nil // refused elsewhere
	}
	if a.Key == ssm.AttachmentsSourceKeyAttachmentReference {
		from, err := reference(a.Values[0])
		if err != nil {
			return err
		}
		name := from.Document
		if !arn.Is(name) {
			name = arn.SSM(db.ScopeOf(ctx), "document/"+name)
		}
		return s.Allow(ctx, "ssm:GetDocument", name)
	}
	address := a.Values[0]
	if a.Key == ssm.AttachmentsSourceKeySourceUrl {
		address = strings.TrimSuffix(address, "/") + "/*"
	}
	bucket, key, ok := object(address, s.host())
	if !ok {
		return nil
	}
	return s.Allow(ctx, "s3:GetObject", "arn:aws:s3:::"+bucket+"/"+key)
}

// passedRoles are the roles written in a runbook: assumeRole itself, or the
// default of the parameter it refers to. Content is JSON or YAML, and YAML
// reads both; what does not parse is refused elsewhere.
func passedRoles(content string) []string {
	doc, err := ssmdoc.Parse([]byte(content), ssmdoc.YAML)
	if err != nil || doc.AssumeRole == "" {
		return nil
	}
	refs := ssmdoc.References(doc.AssumeRole)
	if len(refs) == 0 {
		return []string{doc.AssumeRole}
	}
	var roles []string
	for _, name := range refs {
		if p := doc.Parameter(name); p != nil && arn.Is(p.Default.Str()) {
			roles = append(roles, p.Default.Str())
		}
	}
	return roles
}
