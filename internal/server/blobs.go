package server

import (
	"context"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/platform/blob"
)

// uploadTimeout bounds one request to an object store, with its body.
const uploadTimeout = 10 * time.Minute

// attachmentTimeout bounds the download of one attachment of a document.
const attachmentTimeout = 20 * time.Minute

// openBlobs opens the place of the bytes that are too many for the store.
func (h *hub) openBlobs(ctx context.Context) (err error) {
	if h.blobs, err = blob.Open(ctx, h.cfg.blobsURL(), blob.WithClient(h.egress().Client(uploadTimeout))); err != nil {
		return fmt.Errorf("--blobs: %w", err)
	}
	return nil
}
