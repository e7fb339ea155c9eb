package contact

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/task"
)

const (
	codeTask    = "contact.code"
	codeLife    = 30 * time.Minute
	mostTries   = 5
	mostSends   = 5 // codes in an hour
	sendsWindow = time.Hour
)

// codeArgs is what the task needs to send a code.
type codeArgs struct {
	Channel string `json:"channel"` // ARN
	Nonce   string `json:"nonce"`
}

// SendActivationCode sends a new code; the one before it is void.
func (s *Service) SendActivationCode(ctx context.Context, in *contacts.SendActivationCodeInput) (*contacts.SendActivationCodeOutput, error) {
	out := &contacts.SendActivationCodeOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		c, err := s.mustFindChannel(tx, in.ContactChannelId)
		if err != nil {
			return err
		}
		if err := s.newCode(tx, &c); err != nil {
			return err
		}
		return updateChannel(tx, c)
	})
	return out, err
}

// newCode gives the channel a fresh code and enqueues its delivery; the caller
// saves the row.
func (s *Service) newCode(tx *db.Tx, c *Channel) error {
	if tx.Now.Sub(c.SendsSince) > sendsWindow {
		c.Sends, c.SendsSince = 0, tx.Now
	}
	if c.Sends++; c.Sends > mostSends {
		return &contacts.ServiceQuotaExceededException{
			Message: fmt.Sprintf("At most %d activation codes an hour are sent to one channel", mostSends), ResourceId: new(c.ARN()), ResourceType: new("CONTACT_CHANNEL"),
		}
	}
	c.Nonce, c.Expires, c.Tries = uuid.NewString(), tx.Now.Add(codeLife), 0
	if err := s.Tasks.Enqueue(tx, task.Spec{Kind: codeTask, Key: c.Nonce, Args: codeArgs{Channel: c.ARN(), Nonce: c.Nonce}}); err != nil {
		return err
	}
	return s.record(tx, "channel.code_requested", c.ARN(), nil, c.ContactARN())
}

// deliverCode sends a code that is still the channel's.
func (s *Service) deliverCode(ctx context.Context, r *task.Run) error {
	var a codeArgs
	if err := r.Decode(&a); err != nil {
		return err
	}
	var c Channel
	var ok bool
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		c, ok, err = s.FindChannel(tx, a.Channel)
		return err
	})
	if err != nil || !ok || c.Nonce != a.Nonce {
		return err
	}
	return s.Codes.SendCode(ctx, a.Nonce, c, s.code(c))
}

// code derives the six digits of a channel's nonce.
func (s *Service) code(c Channel) string {
	m := hmac.New(sha256.New, s.Key)
	_, _ = fmt.Fprintf(m, "activation\x00%s\x00%s\x00%s", c.ARN(), c.Address, c.Nonce)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(m.Sum(nil))%1_000_000)
}

// ActivateContactChannel activates a channel with the code that was sent to it.
// A wrong code counts against the code; after 5 it is void.
func (s *Service) ActivateContactChannel(ctx context.Context, in *contacts.ActivateContactChannelInput) (*contacts.ActivateContactChannelOutput, error) {
	var refused error
	out := &contacts.ActivateContactChannelOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		refused = nil
		c, err := s.mustFindChannel(tx, in.ContactChannelId)
		if err != nil || c.Activated {
			return err
		}
		if err := s.lockChannel(tx, &c); err != nil {
			return err
		}
		kind := "channel.activated"
		if refused = s.check(c, *in.ActivationCode, tx.Now); refused != nil {
			audit.Answer(tx, nil) // the try is counted, but the call fails
			kind = "channel.code_refused"
			c.Tries++
		} else {
			c.Activated, c.Nonce = true, ""
		}
		if err := updateChannel(tx, c); err != nil {
			return err
		}
		return s.record(tx, kind, c.ARN(), nil, c.ContactARN())
	})
	if err == nil {
		err = refused
	}
	return out, err
}

// lockChannel reads a channel again under a lock, so that tries are counted one
// by one.
func (s *Service) lockChannel(tx *db.Tx, c *Channel) error {
	if _, err := tx.Exec(`update contact_channel set tries = tries where account = $1 and region = $2 and id = $3`, c.Scope.Account, c.Scope.Region, c.ID); err != nil {
		return err
	}
	fresh, ok, err := loadChannel(tx, c.Scope, c.ID)
	if err == nil && !ok {
		err = notFound("CONTACT_CHANNEL", c.ARN())
	}
	*c = fresh
	return err
}

func (s *Service) check(c Channel, code string, now time.Time) error {
	switch {
	case c.Nonce == "" || now.After(c.Expires):
		return Invalid("ActivationCode", "no activation code is valid for this channel; send a new one")
	case c.Tries >= mostTries:
		return Invalid("ActivationCode", "too many wrong activation codes; send a new one")
	case !hmac.Equal([]byte(s.code(c)), []byte(code)):
		return Invalid("ActivationCode", "the activation code is wrong")
	}
	return nil
}

// DeactivateContactChannel keeps a channel from being paged.
func (s *Service) DeactivateContactChannel(ctx context.Context, in *contacts.DeactivateContactChannelInput) (*contacts.DeactivateContactChannelOutput, error) {
	out := &contacts.DeactivateContactChannelOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		c, err := s.mustFindChannel(tx, in.ContactChannelId)
		if err != nil {
			return err
		}
		c.Activated, c.Nonce = false, ""
		if err := updateChannel(tx, c); err != nil {
			return err
		}
		return s.record(tx, "channel.deactivated", c.ARN(), nil, c.ContactARN())
	})
	return out, err
}
