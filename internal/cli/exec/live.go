package exec

import (
	"context"
	"io"

	api "github.com/watchbill/watchbill/internal/api/watchbill"
)

// live is the outputs of the only node of a command, shown as they come.
type live struct {
	streams int
	ended   chan error
}

// listen begins to show the outputs of a command that runs on one node.
func (f *follower) listen(ctx context.Context, first *api.DescribeCommandTargetsOutput) {
	if f.show.json || *first.TargetCount != 1 || len(first.Targets) != 1 || over(*first.Status) {
		return
	}
	f.live = &live{streams: 2, ended: make(chan error, 2)}
	node := *first.Targets[0].InstanceId
	go func() { f.live.ended <- f.relay(ctx, node, api.OutputStreamStandardOutput, f.terminal.Out) }()
	go func() { f.live.ended <- f.relay(ctx, node, api.OutputStreamStandardError, f.terminal.Err) }()
}

// relay writes a stream as it comes, until its end; or until a node that has ended
// sent nothing for as long as one call waits.
func (f *follower) relay(ctx context.Context, node string, stream api.OutputStream, w io.Writer) error {
	in := &api.GetCommandOutputInput{CommandId: &f.id, InstanceId: &node, Stream: stream, Offset: new(int64(0)), WaitSeconds: new(int32(wait))}
	for {
		var out api.GetCommandOutputOutput
		if err := f.caller.Call(ctx, "watchbill", "GetCommandOutput", in, &out); err != nil {
			return err
		}
		if _, err := w.Write(out.Content); err != nil {
			return err
		}
		if *out.Complete || len(out.Content) == 0 && over(*out.Status) && *out.Status != "Delayed" {
			return nil
		}
		in.Offset = out.NextOffset
	}
}

// heard waits for the outputs that are shown live.
func (f *follower) heard() error {
	if f.live == nil {
		return nil
	}
	f.show.heard = true
	for range f.live.streams {
		select {
		case err := <-f.live.ended:
			if err != nil {
				return err
			}
		case <-f.terminal.Stop:
			return ErrLeft
		}
	}
	return nil
}
