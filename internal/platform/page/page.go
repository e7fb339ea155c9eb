// Package page makes and reads NextToken values: where a list goes on, opaque to
// the client.
package page

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
)

// ErrToken says that a token is not one of ours.
var ErrToken = errors.New("page: the token is not valid")

const (
	mark     = "w1"
	maxToken = 4096
)

// Token turns a position, any JSON value, into a token.
func Token(position any) string {
	b, err := json.Marshal(position)
	if err != nil {
		panic("page: " + err.Error()) // positions are our own small types
	}
	return mark + base64.RawURLEncoding.EncodeToString(b)
}

// Parse reads a token into position, a pointer. The empty token leaves it alone.
func Parse(token string, position any) error {
	if token == "" {
		return nil
	}
	if len(token) > maxToken || len(token) < len(mark) || token[:len(mark)] != mark {
		return ErrToken
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token[len(mark):])
	if err != nil {
		return ErrToken
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(position); err != nil || d.More() {
		return ErrToken
	}
	return nil
}

// Limit is how many rows a list answers: what was asked for, at most most.
func Limit(asked *int32, most int) int {
	if asked == nil || *asked <= 0 || int(*asked) > most {
		return most
	}
	return int(*asked)
}
