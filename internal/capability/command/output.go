package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	api "github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// Bytes of an answer of GetCommandOutput.
const (
	defaultBytes = 256 << 10
	mostBytes    = 700_000
)

// GetCommandOutput gives the full output of a step from an offset on, also while
// it runs. When there is nothing yet, the answer waits up to WaitSeconds.
// Complete says that the answer reaches the end; TotalBytes and Sha256 are known
// then, unless the node lost a part or, with a stock agent, cut it.
func (s *Service) GetCommandOutput(ctx context.Context, in *api.GetCommandOutputInput) (*api.GetCommandOutputOutput, error) {
	size := int64(defaultBytes)
	if in.MaxBytes != nil {
		size = min(int64(*in.MaxBytes), mostBytes)
	}
	var out *api.GetCommandOutputOutput
	var v view
	err := s.await(ctx, *in.CommandId, ptr.Value(in.WaitSeconds), func(tx *db.Tx) (bool, error) {
		var err error
		if v, err = s.view(tx, in, size); err != nil {
			return false, err
		}
		out = v.out
		return len(v.list) > 0 || len(v.text) > 0 || *out.Complete, nil
	})
	if err != nil {
		return nil, err
	}
	out.Content = v.text
	if len(v.list) > 0 {
		if out.Content, err = s.read(ctx, v.list, *out.Offset, size); err != nil {
			return nil, err
		}
	}
	next := *out.Offset + int64(len(out.Content))
	out.NextOffset = &next
	if v.length > next {
		out.Complete = new(false)
	}
	if !*out.Complete {
		out.Sha256 = nil
	}
	return out, nil
}

// view is what a transaction saw of an output.
type view struct {
	out    *api.GetCommandOutputOutput
	list   []piece
	text   []byte // when there are no pieces
	length int64  // of what is here
}

func (s *Service) view(tx *db.Tx, in *api.GetCommandOutputInput, size int64) (v view, err error) {
	i, st, err := s.findStep(tx, *in.CommandId, *in.InstanceId, ptr.Value(in.PluginName))
	if err != nil {
		return v, err
	}
	name, kind, text := "stdout", api.OutputStreamStandardOutput, st.Stdout
	if in.Stream == api.OutputStreamStandardError {
		name, kind, text = "stderr", in.Stream, st.Stderr
	}
	from := ptr.Value(in.Offset)
	v.out = &api.GetCommandOutputOutput{
		CommandId: &i.CommandID, InstanceId: &i.NodeID, PluginName: &st.Name, Stream: kind, Offset: &from, Complete: new(false),
		Status: new(string(i.Status.invocationStatus())), StatusDetails: new(string(i.Status)), ResponseCode: new(int32(st.Code)),
	}
	at, err := s.findStream(tx, i.CommandID, i.NodeID, st.Name, name)
	if err != nil {
		return v, err
	}
	late := !i.Finished.IsZero() && tx.Now.Sub(i.Finished) > lateOutput
	if at.Length == 0 && at.Total < 0 {
		v.fromReport(st, text, from, size, late || !s.ownAgent(tx, i.NodeID))
		return v, nil
	}
	v.length = at.Length
	if v.list, err = pieces(tx, streamFilter(tx, i.CommandID, i.NodeID, st.Name, name), from, size); err != nil {
		return v, err
	}
	v.out.Complete = new(at.Total >= 0 || late)
	if at.Total < 0 {
		return v, nil
	}
	sum, err := at.sum()
	v.out.TotalBytes, v.out.Sha256 = &at.Total, &sum
	return v, err
}

// fromReport answers from the text of a step's report. A text that was cut or
// changed on its way is followed by pieces, unless no more come.
func (v *view) fromReport(st *step, text string, from, size int64, noMore bool) {
	exact := !strings.HasSuffix(text, cutMark) && !strings.Contains(text, "\uFFFD")
	if !st.Status.final() || !exact && !noMore {
		return
	}
	v.length = int64(len(text))
	if from < v.length {
		v.text = []byte(text[from:min(v.length, from+size)])
	}
	v.out.Complete = new(true)
	if exact {
		sum := sha256.Sum256([]byte(text))
		v.out.TotalBytes, v.out.Sha256 = &v.length, new(hex.EncodeToString(sum[:]))
	}
}

// findStep is a step of an invocation: the one of that name, or the only one.
func (s *Service) findStep(tx *db.Tx, commandID, nodeID, name string) (*invocation, *step, error) {
	i, err := findInvocation(tx, commandID, nodeID)
	if err != nil {
		return nil, nil, err
	}
	if i == nil {
		return nil, nil, &api.DoesNotExistException{Message: "The command " + commandID + " has no invocation on " + nodeID + "."}
	}
	steps, err := s.listSteps(tx, commandID, nodeID)
	if err != nil {
		return nil, nil, err
	}
	if n := pick(steps, name); n >= 0 {
		return i, &steps[n], nil
	}
	if name == "" {
		return nil, nil, &api.DoesNotExistException{Message: "The document has several steps: name one with PluginName."}
	}
	return nil, nil, &api.DoesNotExistException{Message: "The document has no step " + name + "."}
}

// pick finds the step that a name means: a step's name, a plugin that only one
// step has, or nothing when there is only one step. -1: none.
func pick(steps []step, name string) int {
	if name == "" && len(steps) == 1 {
		return 0
	}
	found := -1
	for n := range steps {
		switch {
		case steps[n].Name == name:
			return n
		case steps[n].Plugin == name && found == -1:
			found = n
		case steps[n].Plugin == name:
			found = -2
		}
	}
	return max(found, -1)
}
