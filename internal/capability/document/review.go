package document

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/page"
)

// review is what one person said about a version.
type review struct {
	Reviewer string
	Status   ssm.ReviewStatus
	Comments []ssm.DocumentReviewCommentSource
	Created  time.Time
	Updated  time.Time
}

// nextReview is the status of a version after an action, false when the action
// does not fit the status.
//
// Assumption: only a version that was sent for review can be approved or
// rejected, and a decision can be changed by sending it again.
func nextReview(status ssm.ReviewStatus, action ssm.DocumentReviewAction) (ssm.ReviewStatus, bool) {
	switch action {
	case ssm.DocumentReviewActionSendForReview:
		return ssm.ReviewStatusPending, status != ssm.ReviewStatusPending
	case ssm.DocumentReviewActionUpdateReview:
		return status, status != "" && status != ssm.ReviewStatusNotReviewed
	case ssm.DocumentReviewActionApprove:
		return ssm.ReviewStatusApproved, status == ssm.ReviewStatusPending
	case ssm.DocumentReviewActionReject:
		return ssm.ReviewStatusRejected, status == ssm.ReviewStatusPending
	}
	return status, false
}

// UpdateDocumentMetadata sends a version for review, approves or rejects it,
// or changes the comment. Without DocumentVersion it is the latest.
func (s *Service) UpdateDocumentMetadata(ctx context.Context, in *ssm.UpdateDocumentMetadataInput) (*ssm.UpdateDocumentMetadataOutput, error) {
	action := in.DocumentReviews.Action
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		h, err := s.changeable(tx, *in.Name)
		if err != nil {
			return err
		}
		v, err := pick(tx, h, cmp.Or(ptr.Value(in.DocumentVersion), "$LATEST"), "")
		if err != nil {
			return err
		}
		next, ok := nextReview(v.Review, action)
		if !ok {
			return &ssm.InvalidDocumentOperation{Message: fmt.Sprintf("Version %d has the review status %s, which does not allow %s.",
				v.Number, cmp.Or(v.Review, ssm.ReviewStatusNotReviewed), action)}
		}
		r := review{Reviewer: journal.ActorOf(ctx), Status: next, Comments: in.DocumentReviews.Comment}
		if err := saveReview(tx, h, v, r); err != nil {
			return err
		}
		v.Review = next
		return s.record(tx, "document.reviewed", h, v, map[string]any{"action": action, "status": next})
	})
	if err != nil {
		return nil, err
	}
	return &ssm.UpdateDocumentMetadataOutput{}, nil
}

const (
	upsertReview = `insert into document_review(account, region, name, version, reviewer, status, comments, created, updated)
	values($1, $2, $3, $4, $5, $6, $7, $8, $8)
	on conflict(account, region, name, version, reviewer) do update
	set status = excluded.status, comments = excluded.comments, updated = excluded.updated`
	updateReview = `update document_version set review = $1 where account = $2 and region = $3 and name = $4 and version = $5`
)

func saveReview(tx *db.Tx, h *head, v *version, r review) error {
	_, err := tx.Exec(upsertReview, h.Account, h.Region, h.Name, v.Number, r.Reviewer, string(r.Status), encode(r.Comments), db.Micros(tx.Now))
	if err == nil {
		_, err = tx.Exec(updateReview, string(r.Status), h.Account, h.Region, h.Name, v.Number)
	}
	if err != nil {
		return fmt.Errorf("document %s: review version %d: %w", h.Name, v.Number, err)
	}
	return nil
}

const selectReviews = `select reviewer, status, comments, created, updated from document_review
	where account = $1 and region = $2 and name = $3 and version = $4 and reviewer > $5 order by reviewer limit $6`

func listReviews(tx *db.Tx, h *head, v *version, after string, limit int) ([]review, error) {
	return db.Rows(tx, selectReviews, []any{h.Account, h.Region, h.Name, v.Number, after, limit}, func(rows *sql.Rows) (r review, err error) {
		var comments string
		var created, updated int64
		if err := rows.Scan(&r.Reviewer, &r.Status, &comments, &created, &updated); err != nil {
			return r, err
		}
		r.Created, r.Updated = db.FromMicros(created), db.FromMicros(updated)
		return r, json.Unmarshal([]byte(comments), &r.Comments)
	})
}

const selectByReview = `select version from document_version
	where account = $1 and region = $2 and name = $3 and review = $4 order by version desc limit 1`

// fillReview adds what reviews say about a document to its description.
func fillReview(tx *db.Tx, h *head, v *version, d *ssm.DocumentDescription) error {
	if v.Review == "" {
		return nil
	}
	for status, to := range map[ssm.ReviewStatus]**string{ssm.ReviewStatusApproved: &d.ApprovedVersion, ssm.ReviewStatusPending: &d.PendingReviewVersion} {
		found, err := db.Rows(tx, selectByReview, []any{h.Account, h.Region, h.Name, string(status)}, func(r *sql.Rows) (n int64, err error) {
			err = r.Scan(&n)
			return n, err
		})
		if err != nil {
			return err
		}
		if len(found) > 0 {
			*to = new(number(found[0]))
		}
	}
	reviews, err := listReviews(tx, h, v, "", math.MaxInt32)
	for _, r := range reviews {
		d.ReviewInformation = append(d.ReviewInformation, ssm.ReviewInformation{Reviewer: new(r.Reviewer), ReviewedTime: new(r.Updated), Status: r.Status})
	}
	return err
}

// ListDocumentMetadataHistory lists what was said about a version.
func (s *Service) ListDocumentMetadataHistory(ctx context.Context, in *ssm.ListDocumentMetadataHistoryInput) (*ssm.ListDocumentMetadataHistoryOutput, error) {
	var after string
	if err := page.Parse(ptr.Value(in.NextToken), &after); err != nil {
		return nil, badToken()
	}
	size := sizeOf(in.MaxResults, 50)
	var out *ssm.ListDocumentMetadataHistoryOutput
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		h, err := s.readable(tx, *in.Name)
		if err != nil {
			return asInvalidDocument(err)
		}
		v, err := pick(tx, h, cmp.Or(ptr.Value(in.DocumentVersion), "$LATEST"), "")
		if err != nil {
			return err
		}
		found, err := listReviews(tx, h, v, after, size+1)
		if err != nil {
			return err
		}
		out = &ssm.ListDocumentMetadataHistoryOutput{Name: new(h.Name), DocumentVersion: new(number(v.Number)), Author: some(v.Author), Metadata: &ssm.DocumentMetadataResponseInfo{}}
		if len(found) > size {
			found = found[:size]
			out.NextToken = new(page.Token(found[size-1].Reviewer))
		}
		for _, r := range found {
			out.Metadata.ReviewerResponse = append(out.Metadata.ReviewerResponse, ssm.DocumentReviewerResponseSource{
				Reviewer: new(r.Reviewer), ReviewStatus: r.Status, Comment: r.Comments, CreateTime: new(r.Created), UpdatedTime: new(r.Updated),
			})
		}
		return nil
	})
	return out, err
}
