package server

import (
	"context"
	"os"
)

// reloadOn reads the files again at each signal until ctx ends. What cannot be read is
// told in the log, and the last good content stays in force.
func (h *hub) reloadOn(ctx context.Context, signals <-chan os.Signal, certs *certificates) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			h.reload(ctx, certs)
		}
	}
}

func (h *hub) reload(ctx context.Context, certs *certificates) {
	for _, part := range []struct {
		file string
		read func() error
	}{
		{identityFile, func() error { return h.platform.identity.Reload(ctx) }},
		{intakeFile, func() error { _, err := h.all.intakeFile.Reload(); return err }},
		{caFile, func() error { return certs.reload(h.cfg.Data) }},
	} {
		if err := part.read(); err != nil {
			h.log.ErrorContext(ctx, "a file is not used; the last good one stays", "file", part.file, "error", err)
			continue
		}
		h.log.InfoContext(ctx, "a file was read", "file", part.file)
	}
}
