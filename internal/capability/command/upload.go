package command

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	api "github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/task"
)

const (
	uploadTask  = "command.upload" // puts the output of an invocation where its command wants it
	uploadPause = 2 * time.Second  // until an output that is not all here is looked at again
	mostUploads = 10               // attempts at one invocation
	defaultLog  = "/aws/ssm/"      // before the document's name: the log group of a command that names none
)

// Sink keeps an output for good: in a bucket under a key, or in a log group
// under the name of a stream. A second call with the same names may come.
type Sink func(ctx context.Context, container, name string, body io.Reader) error

// wantsOutput says that the output of the command goes somewhere else too.
func (c *command) wantsOutput() bool {
	return ptr.Value(c.Spec.OutputS3BucketName) != "" || c.logs()
}

func (c *command) logs() bool {
	cw := c.Spec.CloudWatchOutputConfig
	return cw != nil && ptr.Value(cw.CloudWatchOutputEnabled)
}

// logGroup is the log group of a command's output.
func (c *command) logGroup() string {
	if name := ptr.Value(c.Spec.CloudWatchOutputConfig.CloudWatchLogGroupName); name != "" {
		return name
	}
	return defaultLog + c.DocumentName
}

// outputKey is where the stock agent puts a step's output in a bucket. Seen with
// amazon-ssm-agent 3.3: prefix/command/node/plugin/step, without colons; in
// schema 1.2 the step is 0 and the plugin.
func (c *command) outputKey(nodeID string, st *step) string {
	plugin, name := strings.ReplaceAll(st.Plugin, ":", ""), strings.ReplaceAll(st.Name, ":", "")
	if st.Name == st.Plugin {
		name = "0." + plugin
	}
	parts := []string{c.ID, nodeID, plugin, name}
	if prefix := strings.Trim(ptr.Value(c.Spec.OutputS3KeyPrefix), "/"); prefix != "" {
		parts = append([]string{prefix}, parts...)
	}
	return strings.Join(parts, "/")
}

// outputURL is the address of a step's output in its bucket, "" without one.
func (c *command) outputURL(nodeID string, st *step, stream string) string {
	bucket := ptr.Value(c.Spec.OutputS3BucketName)
	if bucket == "" {
		return ""
	}
	host := "s3"
	if region := ptr.Value(c.Spec.OutputS3Region); region != "" {
		host += "." + region
	}
	return "https://" + host + ".amazonaws.com/" + bucket + "/" + c.outputKey(nodeID, st) + "/" + stream
}

// planUpload commits to putting the output of an invocation that has ended where
// the command wants it. Stock agents do that themselves.
func (s *Service) planUpload(tx *db.Tx, c *command, i *invocation) error {
	if !c.wantsOutput() || s.Bucket == nil && s.Log == nil || !s.ownAgent(tx, i.NodeID) {
		return nil
	}
	return s.Tasks.Enqueue(tx, task.Spec{Kind: uploadTask, Key: c.ID + "/" + i.NodeID})
}

// upload puts the output of an invocation where its command wants it, once all
// of it is here.
func (s *Service) upload(ctx context.Context, r *task.Run) error {
	commandID, nodeID, _ := strings.Cut(r.Key, "/")
	var c *command
	var steps []step
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		if c, err = findCommand(tx, commandID, false); err != nil || c == nil {
			return err
		}
		steps, err = s.listSteps(tx, commandID, nodeID)
		return err
	})
	if err != nil {
		return err
	}
	kept := 0
	for n := range steps {
		for _, kind := range []api.OutputStream{api.OutputStreamStandardOutput, api.OutputStreamStandardError} {
			k, err := s.keepOutput(ctx, c, nodeID, &steps[n], kind)
			if errors.Is(err, errNotYet) {
				return s.DB.Update(ctx, func(tx *db.Tx) error { return r.Again(tx, tx.Now.Add(uploadPause)) })
			}
			if err != nil {
				return s.uploadFailed(ctx, r, c, nodeID, err)
			}
			kept += k
		}
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		if kept > 0 {
			body := map[string]any{"bucket": ptr.Value(c.Spec.OutputS3BucketName), "logs": c.logs(), "outputs": kept}
			if err := s.Journal.Record(tx, journal.Fact{Kind: "command.output.kept", Subject: c.ID, Related: []string{nodeID}, Body: body}); err != nil {
				return err
			}
		}
		return r.Done(tx)
	})
}

// uploadFailed gives up after enough attempts.
func (s *Service) uploadFailed(ctx context.Context, r *task.Run, c *command, nodeID string, cause error) error {
	if r.Attempt < mostUploads {
		return cause
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		body := map[string]any{"bucket": ptr.Value(c.Spec.OutputS3BucketName), "logs": c.logs(), "why": clean(cause.Error(), 500)}
		return errors.Join(s.Journal.Record(tx, journal.Fact{Kind: "command.output.lost", Subject: c.ID, Related: []string{nodeID}, Body: body}), r.Done(tx))
	})
}

var errNotYet = errors.New("command: the output is not all here")

// keepOutput puts one stream of a step away, if there is anything in it, and
// answers how many copies it made.
func (s *Service) keepOutput(ctx context.Context, c *command, nodeID string, st *step, kind api.OutputStream) (n int, err error) {
	in := &api.GetCommandOutputInput{CommandId: &c.ID, InstanceId: &nodeID, PluginName: &st.Name, Stream: kind, MaxBytes: new(int32(1))}
	var at view
	err = s.DB.View(ctx, func(tx *db.Tx) (err error) {
		at, err = s.view(tx, in, 1)
		return err
	})
	if err != nil || !*at.out.Complete || at.length == 0 {
		if err == nil && !*at.out.Complete {
			err = errNotYet
		}
		return 0, err
	}
	name := map[api.OutputStream]string{api.OutputStreamStandardOutput: "stdout", api.OutputStreamStandardError: "stderr"}[kind]
	if bucket := ptr.Value(c.Spec.OutputS3BucketName); bucket != "" && s.Bucket != nil {
		if err := s.Bucket(ctx, bucket, c.outputKey(nodeID, st)+"/"+name, s.reader(ctx, in)); err != nil {
			return n, err
		}
		n++
	}
	if c.logs() && s.Log != nil {
		stream := strings.Join([]string{c.ID, nodeID, strings.ReplaceAll(st.Plugin, ":", "-"), name}, "/")
		if err := s.Log(ctx, c.logGroup(), stream, s.reader(ctx, in)); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// outputReader reads a stream from its start.
type outputReader struct {
	s    *Service
	ctx  context.Context //nolint:containedctx // it lasts for one upload
	in   api.GetCommandOutputInput
	rest []byte
	end  bool
}

func (s *Service) reader(ctx context.Context, in *api.GetCommandOutputInput) io.Reader {
	r := &outputReader{s: s, ctx: ctx, in: *in}
	r.in.MaxBytes, r.in.Offset = nil, new(int64(0))
	return r
}

// Read implements io.Reader.
func (r *outputReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.end {
			return 0, io.EOF
		}
		out, err := r.s.GetCommandOutput(r.ctx, &r.in)
		if err != nil {
			return 0, err
		}
		r.rest, r.in.Offset, r.end = out.Content, out.NextOffset, *out.Complete || len(out.Content) == 0
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// addURLs shows where the output of a step is.
func (st *step) addURLs(c *command, nodeID string, out *ssm.GetCommandInvocationOutput) {
	out.StandardOutputUrl, out.StandardErrorUrl = new(c.outputURL(nodeID, st, "stdout")), new(c.outputURL(nodeID, st, "stderr"))
}
