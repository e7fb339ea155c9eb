package engage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/capability/contact"
)

// ErrPermanent marks a delivery that no later try can make good.
var ErrPermanent = errors.New("engage: cannot be delivered")

// Page is what a channel delivers: a page, or the activation code of a channel.
type Page struct {
	ID        string // the same on each try: the provider's idempotency key
	ARN       string // "" for an activation code
	Recipient string // alias of the contact
	Address   string
	Sender    string
	Subject   string
	Content   string
	Incident  string // ARN; "" when there is none
	Code      string // answers the page, or activates the channel
	Link      string // opens the page to be acknowledged; "" for an activation code
	At        time.Time
}

// Receipt is the channel's word for a delivery.
type Receipt struct {
	Info      string // the provider's message id
	Delivered bool   // it is known to have arrived, not only to be on its way
}

// Channel delivers pages. Deliver may be called again with the same Page.ID and
// then should not bother the person twice if it can help it. An error that
// wraps ErrPermanent ends the tries.
type Channel interface {
	Deliver(ctx context.Context, p Page) (Receipt, error)
}

// Channels are the providers; nil ones are not configured. E-mail addresses in
// InboxDomain go to Inbox.
type Channels struct {
	Email       Channel
	SMS         Channel
	Voice       Channel
	Inbox       Channel
	InboxDomain string // "" means inbox.local
}

// pick finds the provider for a channel's type and address.
func (c Channels) pick(t contacts.ChannelType, address string) (Channel, error) {
	domain := c.InboxDomain
	if domain == "" {
		domain = "inbox.local"
	}
	provider := map[contacts.ChannelType]Channel{contacts.ChannelTypeEmail: c.Email, contacts.ChannelTypeSms: c.SMS, contacts.ChannelTypeVoice: c.Voice}[t]
	if t == contacts.ChannelTypeEmail && strings.HasSuffix(strings.ToLower(address), "@"+domain) {
		provider = c.Inbox
	}
	if provider == nil {
		return nil, fmt.Errorf("%w: no provider is configured for channels of type %s", ErrPermanent, t)
	}
	return provider, nil
}

// SendCode delivers an activation code; Channels serves package contact so.
func (c Channels) SendCode(ctx context.Context, key string, ch contact.Channel, code string) error {
	provider, err := c.pick(ch.Type, ch.Address)
	if err != nil {
		return err
	}
	_, err = provider.Deliver(ctx, Page{
		ID: key, Recipient: ch.Alias, Address: ch.Address, Sender: "Watchbill", Code: code, At: time.Now().UTC(),
		Subject: "Activation code for " + ch.Name,
		Content: "Somebody wants to call you over this channel. The activation code follows; ignore this message if you did not expect it.",
	})
	return err
}
