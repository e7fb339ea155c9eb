package session

import (
	"context"
	"errors"
	"time"

	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
	"github.com/watchbill/watchbill/internal/platform/task"
)

const defaultRead = 256 << 10

// format is how recordings are written: https://docs.asciinema.org/manual/asciicast/v2/
const format = "asciicast-v2"

// ListSessionRecordings lists sessions that were recorded, newest first. Error:
// InvalidNextToken.
func (s *Service) ListSessionRecordings(ctx context.Context, in *watchbill.ListSessionRecordingsInput) (*watchbill.ListSessionRecordingsOutput, error) {
	var from cursor
	if page.Parse(ptr.Value(in.NextToken), &from) != nil {
		return nil, &watchbill.InvalidNextToken{Message: "The specified token is not valid."}
	}
	out := &watchbill.ListSessionRecordingsOutput{Recordings: []watchbill.SessionRecording{}}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		f := scoped(tx).And("recording <> ''")
		for column, v := range map[string]*string{"node_id": in.Target, "owner": in.Owner, "id": in.SessionId} {
			if v != nil {
				f.And(column+" = ?", *v)
			}
		}
		list, next, err := pageOf(tx, f, from, in.MaxResults)
		if err != nil {
			return err
		}
		out.NextToken = next
		for i := range list {
			out.Recordings = append(out.Recordings, *list[i].recorded())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (r *row) recorded() *watchbill.SessionRecording {
	out := &watchbill.SessionRecording{
		SessionId: &r.ID, Target: &r.Node, Owner: &r.Owner, StartedAt: &r.Started, Status: new(string(r.Status)), Format: new(format), Chunks: new(int32(r.Chunks)),
		TotalBytes: &r.Bytes, RootHash: ptr.OrNil(r.Chain), InputBytes: &r.In, OutputBytes: &r.Out, Interrupted: new(r.Recording == recordingInterrupted || r.Recording == recordingBroken),
	}
	if !r.Ended.IsZero() {
		out.EndedAt = &r.Ended
	}
	return out
}

// GetSessionRecording answers a piece of a recording. At its end so far it waits
// up to WaitSeconds for more; Complete says that there will be none. Errors:
// DoesNotExistException, RecordingNotAvailable.
func (s *Service) GetSessionRecording(ctx context.Context, in *watchbill.GetSessionRecordingInput) (*watchbill.GetSessionRecordingOutput, error) {
	offset, limit := ptr.Value(in.Offset), defaultRead
	if in.MaxBytes != nil {
		limit = int(*in.MaxBytes)
	}
	news, stop := s.DB.Listen(recordingTopic(db.ScopeOf(ctx), *in.SessionId))
	defer stop()
	wait := time.NewTimer(time.Duration(ptr.Value(in.WaitSeconds)) * time.Second)
	defer wait.Stop()
	for {
		out, err := s.piece(ctx, *in.SessionId, offset, limit)
		if err != nil || len(out.Content) > 0 || *out.Complete {
			return out, err
		}
		select {
		case <-news:
		case <-wait.C:
			return out, nil
		case <-ctx.Done():
			return out, nil
		}
	}
}

// piece is what there is now of a recording at an offset.
func (s *Service) piece(ctx context.Context, id string, offset int64, limit int) (*watchbill.GetSessionRecordingOutput, error) {
	r, err := s.find(ctx, id)
	switch {
	case errors.Is(err, ErrEnded) || err == nil && r.Scope != db.ScopeOf(ctx):
		return nil, &watchbill.DoesNotExistException{Message: "The session " + id + " does not exist."}
	case err != nil:
		return nil, err
	case r.Recording == "" && final(r.Status):
		return nil, &watchbill.RecordingNotAvailable{Message: "The session " + id + " was not recorded."}
	}
	content, err := s.ReadRecording(ctx, id, offset, limit)
	if err != nil {
		return nil, err
	}
	end := offset + int64(len(content))
	return &watchbill.GetSessionRecordingOutput{
		SessionId: &r.ID, Content: content, Offset: &offset, NextOffset: &end, Complete: new(r.recordingClosed() && end >= r.Bytes), Recording: r.recorded(),
	}, nil
}

// purge forgets a session and its recording.
func (s *Service) purge(ctx context.Context, run *task.Run) error {
	var chunks []Chunk
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		chunks, err = listChunks(tx, scoped(tx).And("session_id = ?", run.Key), 0)
		return err
	})
	if err != nil {
		return err
	}
	for _, c := range chunks {
		if err := s.Blobs.Delete(ctx, c.Key); err != nil {
			return err
		}
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		for _, table := range []string{"session_chunk", "session_person", "session_token"} {
			f := scoped(tx).And("session_id = ?", run.Key)
			if _, err := tx.Exec("delete from "+table+f.Where(), f.Args...); err != nil {
				return err
			}
		}
		f := scoped(tx).And("id = ?", run.Key)
		if _, err := tx.Exec("delete from session_session"+f.Where(), f.Args...); err != nil {
			return err
		}
		return run.Done(tx)
	})
}
