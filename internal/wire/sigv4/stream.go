package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

// Stream checks the chunks of a body that is signed piece by piece, in their order.
// Source: the S3 API reference, "Signature calculations for the Authorization header:
// transferring a payload in multiple chunks".
type Stream struct {
	key      [32]byte
	scope    string
	at       string
	previous string // signature of what came before
}

// CheckStream is Check for a request to S3 whose body is not read yet: payload is what
// the request says of it in X-Amz-Content-Sha256, a hash that whoever reads the body
// has to compare, or one of the words for bodies that are signed otherwise or not at
// all. The path is signed as it was sent, with all its segments.
func (v *Verifier) CheckStream(s *Signature, r *http.Request, payload string, now time.Time, lookup Lookup) (*Stream, error) {
	if err := s.CheckTime(now); err != nil {
		return nil, err
	}
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	c, err := s.compose(r, []byte(path), payload, r.ContentLength)
	if err != nil {
		return nil, err
	}
	key, err := v.check(s, s.text(c), lookup)
	if err != nil {
		return nil, err
	}
	return &Stream{key: key, scope: s.Scope.text(), at: s.Time.Format(TimeFormat), previous: s.Value}, nil
}

var emptyHash = hex.EncodeToString(sha256.New().Sum(nil))

// Chunk says whether signature is that of the next chunk, whose hash is given.
func (c *Stream) Chunk(hash [sha256.Size]byte, signature string) bool {
	return c.next(algorithm+"-PAYLOAD", emptyHash+"\n"+hex.EncodeToString(hash[:]), signature)
}

// Trailer says whether signature is that of the trailer, whose lines are hashed.
func (c *Stream) Trailer(hash [sha256.Size]byte, signature string) bool {
	return c.next(algorithm+"-TRAILER", hex.EncodeToString(hash[:]), signature)
}

func (c *Stream) next(kind, hashes, signature string) bool {
	text := strings.Join([]string{kind, c.at, c.scope, c.previous, hashes}, "\n")
	c.previous = hex.EncodeToString(mac(c.key[:], text))
	return hmac.Equal([]byte(c.previous), []byte(signature))
}
