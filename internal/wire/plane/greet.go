package plane

import (
	"encoding/json"
	"errors"
)

// Version is that of the protocol.
const Version = 1

// Greet hands a token in on a new link. Errors: *EndError when trying again is of
// no use, others when it may be. The link is closed on an error.
func Greet(l *Link, token string) (w Welcome, err error) {
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	b, err := json.Marshal(Hello{TokenValue: token, Plane: Version})
	if err == nil {
		err = l.WriteText(b)
	}
	if err != nil {
		return w, err
	}
	answer, err := l.ReadText()
	if err != nil {
		return w, err
	}
	if err := json.Unmarshal(answer, &w); err != nil {
		return w, ErrLink
	}
	switch {
	case w.Over:
		return w, &EndError{Cause: w.Error}
	case w.Error != "":
		return w, errors.New(w.Error)
	}
	return w, nil
}

// ReadHello reads the first message, at the hub.
func ReadHello(l *Link) (h Hello, err error) {
	b, err := l.ReadText()
	if err != nil {
		return h, err
	}
	if json.Unmarshal(b, &h) != nil || h.Plane != Version {
		return h, ErrLink
	}
	return h, nil
}

// Welcome answers the first message, at the hub.
func (l *Link) Welcome(w Welcome) error {
	b, err := json.Marshal(w)
	if err != nil {
		return err
	}
	return l.WriteText(b)
}
