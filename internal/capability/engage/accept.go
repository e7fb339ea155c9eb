package engage

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/capability/contact"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
)

// ErrLink says that a link does not open any page.
var ErrLink = errors.New("engage: the link is not valid")

// AcceptPage records that a page was delivered or read. READ is the person's
// acknowledgement. The code must match unless AcceptCodeValidation is IGNORE.
// Accepting again succeeds and changes nothing.
func (s *Service) AcceptPage(ctx context.Context, in *contacts.AcceptPageInput) (*contacts.AcceptPageOutput, error) {
	out := &contacts.AcceptPageOutput{}
	err := s.DB.Update(ctx, func(tx *db.Tx) error {
		audit.Answer(tx, out)
		p, err := s.findPage(tx, *in.PageId, "")
		if err != nil {
			return err
		}
		if in.AcceptCodeValidation != contacts.AcceptCodeValidationIgnore && !hmac.Equal([]byte(s.acceptCode(p)), []byte(*in.AcceptCode)) {
			return contact.Invalid("AcceptCode", "the accept code is wrong")
		}
		// AWS puts the code here; it accepts the page until it is read, so it is kept out.
		a := acceptance{Info: "accepted with the code", Channel: p.Channel, Note: ptr.Value(in.Note)}
		if in.AcceptCodeValidation == contacts.AcceptCodeValidationIgnore {
			a.Info = "accepted, its code was not looked at"
		}
		if in.ContactChannelId != nil {
			a.Channel = *in.ContactChannelId
		}
		return s.accept(tx, p.ID, in.AcceptType == contacts.AcceptTypeRead, a)
	})
	return out, err
}

// acceptance is how a page was accepted.
type acceptance struct {
	Info    string // the receipt's text
	Channel string
	Note    string
}

// accept records the receipts and, when the page was read, tells the machine.
func (s *Service) accept(tx *db.Tx, id string, read bool, a acceptance) error {
	p, e, err := s.pageAndEngagement(tx, id)
	if err != nil || !p.Read.IsZero() || !read && !p.Delivered.IsZero() {
		return err
	}
	if p.Delivered.IsZero() {
		p.Delivered = tx.Now
		if err := insertReceipt(tx, p, receipt{Channel: a.Channel, Type: contacts.ReceiptTypeDelivered, Info: a.Info, At: tx.Now}); err != nil {
			return err
		}
	}
	about := Fact{Contact: contactARN(p.Scope, p.Alias), Page: p.ARN(), Channel: a.Channel, Note: a.Note}
	if !read {
		if err := updatePage(tx, p); err != nil {
			return err
		}
		return s.record(tx, e, "page.delivered", p.ARN(), about)
	}
	p.Read = tx.Now
	if err := insertReceipt(tx, p, receipt{Channel: a.Channel, Type: contacts.ReceiptTypeRead, Info: a.Info, At: tx.Now}); err != nil {
		return err
	}
	if err := updatePage(tx, p); err != nil {
		return err
	}
	if err := s.record(tx, e, "page.acknowledged", p.ARN(), about); err != nil {
		return err
	}
	state, effects := s.machine(nil).Acknowledge(e.State, contactARN(p.Scope, p.Alias), tx.Now)
	e.State = state
	return s.settle(tx, &e, effects)
}

// derive is a secret that belongs to a page and a purpose.
func (s *Service) derive(purpose string, scope db.Scope, id string) []byte {
	m := hmac.New(sha256.New, s.Key)
	_, _ = fmt.Fprintf(m, "page\x00%s\x00%s\x00%s\x00%s", purpose, scope.Account, scope.Region, id)
	return m.Sum(nil)
}

// acceptCode is the six digits that accept a page.
func (s *Service) acceptCode(p pageRow) string {
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(s.derive("code", p.Scope, p.ID))%1_000_000)
}

// linkToken is the 256-bit token that opens one page and nothing else.
func (s *Service) linkToken(scope db.Scope, id string) string {
	return base64.RawURLEncoding.EncodeToString(s.derive("link", scope, id))
}

// LinkPath is where acknowledge links live: /page/<account>/<region>/<id>/<token>.
const LinkPath = "/page/"

func (s *Service) link(p pageRow) string {
	return s.BaseURL + LinkPath + strings.Join([]string{p.Scope.Account, p.Scope.Region, p.ID, s.linkToken(p.Scope, p.ID)}, "/")
}

// Linked is what the bearer of a link sees of its page.
type Linked struct {
	Recipient string
	Sender    string
	Subject   string
	Content   string
	Incident  string
	Created   time.Time
	Read      time.Time // zero until it is acknowledged
}

// parseLink checks the part of a link after LinkPath.
func (s *Service) parseLink(path string) (db.Scope, string, error) {
	p := strings.Split(path, "/")
	if len(p) != 4 {
		return db.Scope{}, "", ErrLink
	}
	scope := db.Scope{Account: p[0], Region: p[1]}
	if !hmac.Equal([]byte(s.linkToken(scope, p[2])), []byte(p[3])) {
		return db.Scope{}, "", ErrLink
	}
	return scope, p[2], nil
}

// OpenLink shows the page of a link and changes nothing. Path is what follows
// LinkPath; ErrLink when it opens nothing.
func (s *Service) OpenLink(ctx context.Context, path string) (Linked, error) {
	scope, id, err := s.parseLink(path)
	if err != nil {
		return Linked{}, err
	}
	var l Linked
	err = s.DB.View(db.WithScope(ctx, scope), func(tx *db.Tx) error {
		p, ok, err := loadPage(tx, scope, id, "")
		if err != nil || !ok {
			return errors.Join(err, ErrLink)
		}
		e, _, err := loadEngagement(tx, scope, p.Engagement, "")
		l = Linked{Recipient: p.Alias, Sender: e.Sender, Subject: e.Subject, Content: e.Content, Incident: e.Incident, Created: p.Created, Read: p.Read}
		return err
	})
	return l, err
}

// AcknowledgeLink acknowledges the page of a link for the person who was paged.
func (s *Service) AcknowledgeLink(ctx context.Context, path string) error {
	scope, id, err := s.parseLink(path)
	if err != nil {
		return err
	}
	ctx = db.WithScope(ctx, scope)
	var p pageRow
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		found, ok, err := loadPage(tx, scope, id, "")
		if err == nil && !ok {
			err = ErrLink
		}
		p = found
		return err
	})
	if err != nil {
		return err
	}
	return s.DB.Update(journal.WithActor(ctx, contactARN(scope, p.Alias)), func(tx *db.Tx) error {
		return s.accept(tx, id, true, acceptance{Info: "acknowledged through the link", Channel: p.Channel})
	})
}
