package agent

import (
	"time"

	"github.com/watchbill/watchbill/internal/agent/ledger"
	"github.com/watchbill/watchbill/internal/wire/mgs"

	"github.com/google/uuid"
)

// A reply is sent again while the hub has not acknowledged it: after
// firstResend, then after twice the time before, maxResend at most, and at
// once on a new channel.
const (
	resendTick  = 5 * time.Second
	firstResend = 10 * time.Second
	maxResend   = 5 * time.Minute
)

// sending is when a reply was last sent on this channel, and when it is due
// again.
type sending struct {
	wait time.Duration
	due  time.Time
}

// send sends a reply on the channel if there is one. A failure is not an
// error: the reply is in the ledger and goes out again.
func (n *node) send(reply ledger.Reply) {
	c := n.sending(reply.ID)
	if c == nil {
		return
	}
	m, err := replyMessage(reply)
	if err == nil {
		err = c.send(m)
	}
	if err != nil {
		n.log.Warn("a reply was not sent", "job", reply.JobID, "error", err.Error())
	}
}

// sending notes that a reply goes out now, and gives the channel for it.
func (n *node) sending(replyID string) *channel {
	n.mu.Lock()
	defer n.mu.Unlock()
	wait := min(max(2*n.sent[replyID].wait, firstResend), maxResend)
	n.sent[replyID] = sending{wait, time.Now().Add(wait)}
	return n.channel
}

func replyMessage(reply ledger.Reply) (*mgs.Message, error) {
	id, err := uuid.Parse(reply.ID)
	if err != nil {
		return nil, err
	}
	m, err := mgs.Encode(mgs.TypeAgentJobReply, mgs.AgentJobReply{
		SchemaVersion: 1, JobID: reply.JobID, Topic: mgs.TopicSendCommand, Content: reply.Content,
	})
	if err != nil {
		return nil, err
	}
	m.ID = id
	return m, nil
}

// keepReplies sends every reply that is due, now and at each tick.
func (n *node) keepReplies(c *channel, quit <-chan struct{}) {
	t := time.NewTicker(resendTick)
	defer t.Stop()
	for {
		for _, reply := range n.ledger.Unacknowledged() {
			if n.due(reply.ID) {
				n.send(reply)
			}
		}
		select {
		case <-t.C:
		case <-quit:
			return
		}
	}
}

func (n *node) due(replyID string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	s, sent := n.sent[replyID]
	return !sent || !time.Now().Before(s.due)
}

// resend sends the replies of a job that the hub asks about again.
func (n *node) resend(commandID string) {
	if rec, ok := n.ledger.Get(commandID); ok {
		for _, reply := range rec.Replies {
			n.send(reply)
		}
	}
}

func (n *node) acknowledged(ack mgs.AgentJobReplyAck) {
	commandID, _, err := mgs.ParseJobID(ack.JobID)
	if err == nil {
		err = n.ledger.Acknowledge(commandID, ack.AcknowledgedMessageID)
	}
	if err != nil {
		n.log.Warn("an acknowledgement cannot be kept", "job", ack.JobID, "error", err.Error())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.sent, ack.AcknowledgedMessageID)
}
