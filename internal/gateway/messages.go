package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/watchbill/watchbill/internal/capability/command"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// pollHold is how long an empty poll is held: the stock agent gives up at 20 s
// and pauses after an answer that comes at once.
const pollHold = 15 * time.Second

// messages are the operations of ec2messages. Every stock agent polls in its
// first minute; commands go over control channels only, so there is never a
// message. Answers to jobs are taken here as well.
func (g *Gateway) messages() map[string]wire.Raw {
	return map[string]wire.Raw{
		"GetMessages":        {Call: g.getMessages},
		"AcknowledgeMessage": {Call: g.jobAnswer(mgs.AckOK)},
		"FailMessage":        {Call: g.jobAnswer(mgs.AckInvalid)},
		"DeleteMessage":      {Call: g.ignore},
		"SendReply":          {Call: g.sendReply},
	}
}

func (g *Gateway) getMessages(ctx context.Context, r *http.Request, body []byte) (any, error) {
	var in struct {
		Destination       string
		MessagesRequestID string `json:"MessagesRequestId"`
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	id, err := self(ctx, in.Destination)
	if err != nil {
		return nil, err
	}
	t := time.NewTimer(pollHold)
	defer t.Stop()
	select {
	case <-t.C:
	case <-g.draining:
	case <-r.Context().Done():
	}
	return map[string]any{"Destination": id, "MessagesRequestId": in.MessagesRequestID, "Messages": []any{}}, nil
}

func (g *Gateway) jobAnswer(code string) func(context.Context, *http.Request, []byte) (any, error) {
	return func(ctx context.Context, _ *http.Request, body []byte) (any, error) {
		var in struct {
			MessageID string `json:"MessageId"`
		}
		if err := decode(body, &in); err != nil {
			return nil, err
		}
		id, err := anyNode(ctx)
		if err != nil {
			return nil, err
		}
		return nil, denied(g.Commands.Acked(ctx, id, mgs.AgentJobAck{JobID: in.MessageID, StatusCode: code}))
	}
}

func (g *Gateway) sendReply(ctx context.Context, _ *http.Request, body []byte) (any, error) {
	var in struct {
		MessageID string `json:"MessageId"`
		Payload   string
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	id, err := anyNode(ctx)
	if err != nil {
		return nil, err
	}
	return nil, denied(g.Commands.Replied(ctx, id, mgs.AgentJobReply{SchemaVersion: 1, JobID: in.MessageID, Content: in.Payload}))
}

func anyNode(ctx context.Context) (string, error) {
	id := identity.From(ctx).NodeID()
	if id == "" {
		return "", fault.AccessDenied("Only a managed node may call this operation.")
	}
	return id, nil
}

// denied is the answer to a report about a foreign command.
func denied(err error) error {
	switch {
	case errors.Is(err, command.ErrForeign):
		return fault.AccessDenied("The message belongs to another node.")
	case errors.Is(err, command.ErrContent):
		return fault.Validation("The payload is not valid.")
	}
	return err
}
