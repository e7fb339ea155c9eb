package replay

import (
	"context"
	"io"

	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/wire/client"
)

const waitSeconds = 20

// recording reads a session's recording through the API.
type recording struct {
	ctx    context.Context
	client *client.Client
	id     string
	live   bool // waits for more until the recording is closed
	offset int64
	rest   []byte
}

// Fetch is the recording of a session as a stream of bytes; live waits at its end
// until the session is over. Reading fails with the API's error.
func Fetch(ctx context.Context, c *client.Client, sessionID string, live bool) io.Reader {
	return &recording{ctx: ctx, client: c, id: sessionID, live: live}
}

func (r *recording) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		more, err := r.fetch()
		if err != nil {
			return 0, err
		}
		if !more {
			return 0, io.EOF
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// fetch gets the next piece; more is false at the end.
func (r *recording) fetch() (more bool, err error) {
	in := &watchbill.GetSessionRecordingInput{SessionId: &r.id, Offset: &r.offset}
	if r.live {
		in.WaitSeconds = new(int32(waitSeconds))
	}
	var out watchbill.GetSessionRecordingOutput
	if err := r.client.Call(r.ctx, "watchbill", "GetSessionRecording", in, &out); err != nil {
		return false, err
	}
	r.rest = out.Content
	r.offset += int64(len(out.Content))
	done := out.Complete != nil && *out.Complete
	return len(r.rest) > 0 || r.live && !done, nil
}
