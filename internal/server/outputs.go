package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/logs"
)

// logBatch is how much of an output one call puts into a log stream, in bytes and
// lines, well below the most that one may.
const (
	logBatch = 512 << 10
	logLines = 5000
	logLine  = 200 << 10
)

// keepObject keeps an output in a bucket.
func (h *hub) keepObject(ctx context.Context, bucket, key string, body io.Reader) error {
	return h.all.bucket.Keep(ctx, bucket, key, body)
}

// openObject reads an object of a bucket.
func (h *hub) openObject(ctx context.Context, bucket, key string) (io.ReadCloser, error) {
	return h.all.bucket.Open(ctx, bucket, key)
}

// keepLog keeps an output in a log stream of its own, a line an event. What an
// earlier attempt left there goes first.
func (h *hub) keepLog(ctx context.Context, group, stream string, body io.Reader) error {
	l := h.all.loggroup
	_, err := l.CreateLogGroup(ctx, &logs.CreateLogGroupInput{LogGroupName: &group})
	if _, there := errors.AsType[*logs.ResourceAlreadyExistsException](err); err != nil && !there {
		return err
	}
	_, err = l.DeleteLogStream(ctx, &logs.DeleteLogStreamInput{LogGroupName: &group, LogStreamName: &stream})
	if _, missing := errors.AsType[*logs.ResourceNotFoundException](err); err != nil && !missing {
		return err
	}
	if _, err := l.CreateLogStream(ctx, &logs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &stream}); err != nil {
		return err
	}
	return eachBatch(body, func(batch []logs.InputLogEvent) error {
		_, err := l.PutLogEvents(ctx, &logs.PutLogEventsInput{LogGroupName: &group, LogStreamName: &stream, LogEvents: batch})
		return err
	})
}

// eachBatch reads lines into events, several at a time. A long line is cut into
// several events.
func eachBatch(body io.Reader, f func([]logs.InputLogEvent) error) error {
	lines := bufio.NewReaderSize(body, logLine)
	var batch []logs.InputLogEvent
	size := 0
	for {
		text, _, err := lines.ReadLine()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err == nil && len(text) > 0 {
			batch = append(batch, logs.InputLogEvent{Message: new(strings.ToValidUTF8(string(text), "\uFFFD")), Timestamp: new(time.Now().UnixMilli())})
			size += len(text)
		}
		if len(batch) > 0 && (err != nil || size > logBatch || len(batch) >= logLines) {
			if err := f(batch); err != nil {
				return err
			}
			batch, size = nil, 0
		}
		if err != nil {
			return nil
		}
	}
}
