package document

import (
	"context"
	"errors"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/tagging"
)

// UpdateDocumentDefaultVersion moves the default to a version.
func (s *Service) UpdateDocumentDefaultVersion(ctx context.Context, in *ssm.UpdateDocumentDefaultVersionInput) (*ssm.UpdateDocumentDefaultVersionOutput, error) {
	out := &ssm.UpdateDocumentDefaultVersionOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		h, err := s.changeable(tx, *in.Name)
		if err != nil {
			return asInvalidDocument(err)
		}
		v, err := pick(tx, h, *in.DocumentVersion, "")
		if err != nil {
			return err
		}
		if v.Schema == "1.2" {
			return &ssm.InvalidDocumentSchemaVersion{Message: "A document of schema version 1.2 has one version only."}
		}
		before := number(h.Default)
		h.Default = v.Number
		if err := saveHead(tx, h); err != nil {
			return err
		}
		out.Description = &ssm.DocumentDefaultVersionDescription{Name: new(h.Name), DefaultVersion: new(number(v.Number)), DefaultVersionName: some(v.Name)}
		return s.record(tx, "document.default-changed", h, v, map[string]any{"before": before})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// asInvalidDocument is for operations whose model has no InvalidDocumentOperation.
func asInvalidDocument(err error) error {
	var refused *ssm.InvalidDocumentOperation
	if errors.As(err, &refused) {
		return &ssm.InvalidDocument{Message: refused.Message}
	}
	return err
}

// DeleteDocument deletes a document with all its versions, or one version when
// DocumentVersion or VersionName names it.
func (s *Service) DeleteDocument(ctx context.Context, in *ssm.DeleteDocumentInput) (*ssm.DeleteDocumentOutput, error) {
	out := &ssm.DeleteDocumentOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		h, err := s.changeable(tx, *in.Name)
		if err != nil {
			return err
		}
		if in.DocumentVersion != nil || in.VersionName != nil {
			return s.deleteOne(tx, h, ptr.Value(in.DocumentVersion), ptr.Value(in.VersionName))
		}
		return s.deleteWhole(tx, h)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) deleteOne(tx *db.Tx, h *head, selector, versionName string) error {
	v, err := pick(tx, h, selector, versionName)
	var missing *ssm.InvalidDocumentVersion
	if errors.As(err, &missing) {
		return &ssm.InvalidDocument{Message: missing.Message}
	}
	if err != nil {
		return err
	}
	if v.Number == h.Default {
		return &ssm.InvalidDocumentOperation{Message: "The default version cannot be deleted. Make another version the default, or delete the document."}
	}
	if err := s.dropFiles(tx, h, v); err != nil {
		return err
	}
	if err := dropVersion(tx, h, v.Number); err != nil {
		return err
	}
	if _, h.Latest, err = versions(tx, h); err != nil {
		return err
	}
	if err := saveHead(tx, h); err != nil {
		return err
	}
	return s.record(tx, "document.version-deleted", h, v, nil)
}

func (s *Service) deleteWhole(tx *db.Tx, h *head) error {
	shares, err := listShares(tx, h, "", 1)
	if err != nil {
		return err
	}
	if len(shares) > 0 {
		return &ssm.InvalidDocumentOperation{Message: "The document is shared with other accounts. Stop sharing it and try again."}
	}
	for _, inUse := range s.InUse {
		if err := inUse(tx, h.Name); err != nil {
			return err
		}
	}
	if err := s.dropAllFiles(tx, h); err != nil {
		return err
	}
	if err := deleteAll(tx, h); err != nil {
		return err
	}
	if err := tagging.Drop(tx, kind, h.Name); err != nil {
		return err
	}
	return s.record(tx, "document.deleted", h, nil, nil)
}
