package command_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	api "github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

func (x fixture) output(in *api.GetCommandOutputInput) *api.GetCommandOutputOutput {
	x.t.Helper()
	out, err := x.GetCommandOutput(x.ctx, in)
	x.must(err)
	return out
}

func (x fixture) piece(n, c string, offset int64, data string, end bool, want int64) {
	x.t.Helper()
	got, ended, err := x.Output(x.ctx, n, mgs.JobOutput{JobID: mgs.JobID(c, n), Step: "run", Stream: "stdout", Offset: offset, Data: []byte(data), End: end})
	x.must(err)
	if got != want || ended != end {
		x.t.Errorf("length %d, end %v; want %d, %v", got, ended, want, end)
	}
}

func TestFullOutput(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		c := *x.send(&ssm.SendCommandInput{InstanceIds: []string{n}}).CommandId
		x.take(n)
		large := string(bytes.Repeat([]byte("0123456789abcdef"), 4096))
		x.piece(n, c, 0, "hello ", false, 6)
		x.piece(n, c, 0, "hello ", false, 6)
		x.piece(n, c, 9, "gap", false, 6)
		x.piece(n, c, 6, "world\x00\xff", false, 13)
		x.piece(n, c, 13, large, false, 13+65536)
		first := x.output(&api.GetCommandOutputInput{CommandId: &c, InstanceId: &n, WaitSeconds: new(int32(5)), MaxBytes: new(int32(11))})
		if string(first.Content) != "hello world" || *first.Complete || first.Sha256 != nil || *first.NextOffset != 11 {
			t.Errorf("while it runs: %q, %+v", first.Content, first)
		}
		x.reply(n, c, "Success", map[string]mgs.StepStatus{"run": {Status: "Success", StandardOutput: "hello wo--output truncated--", StandardError: "short"}})
		x.piece(n, c, 13+65536, "end", true, 13+65536+3)
		want := "hello world\x00\xff" + large + "end"
		var all []byte
		in := &api.GetCommandOutputInput{CommandId: &c, InstanceId: &n, Offset: new(int64(0)), MaxBytes: new(int32(10_000))}
		for {
			out := x.output(in)
			all = append(all, out.Content...)
			if *out.Complete {
				sum := sha256.Sum256([]byte(want))
				if *out.Sha256 != hex.EncodeToString(sum[:]) || *out.TotalBytes != int64(len(want)) || *out.StatusDetails != "Success" {
					t.Errorf("at the end: %+v", out)
				}
				break
			}
			in.Offset = out.NextOffset
		}
		if string(all) != want {
			t.Errorf("%d bytes, want %d", len(all), len(want))
		}
		short := x.output(&api.GetCommandOutputInput{CommandId: &c, InstanceId: &n, Stream: api.OutputStreamStandardError, Offset: new(int64(2))})
		if string(short.Content) != "ort" || !*short.Complete || *short.TotalBytes != 5 {
			t.Errorf("a short output: %q, %+v", short.Content, short)
		}
	})
}

func TestBadPieces(t *testing.T) {
	each(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		c := *x.send(&ssm.SendCommandInput{InstanceIds: []string{n}}).CommandId
		x.take(n)
		for _, bad := range []mgs.JobOutput{
			{Step: "other", Stream: "stdout"}, {Step: "run", Stream: "x"}, {Step: "run", Stream: "stdout", Offset: -1}, {Step: "run", Stream: "stdout", Data: make([]byte, mgs.MaxOutputChunk+1)},
		} {
			bad.JobID = mgs.JobID(c, n)
			if _, _, err := x.Output(x.ctx, n, bad); err == nil {
				t.Errorf("accepted a piece of %q, %q at %d", bad.Step, bad.Stream, bad.Offset)
			}
		}
		_, err := x.GetCommandOutput(x.ctx, &api.GetCommandOutputInput{CommandId: &c, InstanceId: &n, PluginName: new("other")})
		x.wantCode(err, "DoesNotExistException")
	})
}

func TestOutputThatWasLostEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, x fixture) {
		n := x.nodes(1)[0]
		c := *x.send(&ssm.SendCommandInput{InstanceIds: []string{n}}).CommandId
		x.take(n)
		x.piece(n, c, 0, "begin", false, 5)
		x.reply(n, c, "Failed", map[string]mgs.StepStatus{"run": {Status: "Failed", Code: 1, StandardOutput: "begin--output truncated--"}})
		if out := x.output(&api.GetCommandOutputInput{CommandId: &c, InstanceId: &n}); *out.Complete {
			t.Errorf("complete too early: %+v", out)
		}
		<-time.After(11 * time.Minute)
		if out := x.output(&api.GetCommandOutputInput{CommandId: &c, InstanceId: &n}); !*out.Complete || out.Sha256 != nil || string(out.Content) != "begin" {
			t.Errorf("a lost output: %+v", out)
		}
	})
}
