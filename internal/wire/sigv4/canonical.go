package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const upperHex = "0123456789ABCDEF"

// StringToSign is what the signature of a request is made over, with the
// canonical request rebuilt from r and body. A node's RSA signature covers the
// same text.
func (s *Signature) StringToSign(r *http.Request, body []byte) (string, error) {
	c, err := s.canonical(r, body)
	if err != nil {
		return "", err
	}
	return s.text(c), nil
}

func (s *Signature) text(canonical []byte) string {
	sum := sha256.Sum256(canonical)
	b := make([]byte, 0, 160)
	b = append(b, algorithm...)
	b = append(b, '\n')
	b = s.Time.AppendFormat(b, TimeFormat)
	b = append(b, '\n')
	b = append(b, s.Scope.text()...)
	b = append(b, '\n')
	b = hex.AppendEncode(b, sum[:])
	return string(b)
}

func (s *Signature) canonical(r *http.Request, body []byte) ([]byte, error) {
	f := FamilyOf(s.Scope.Service)
	path := r.URL.EscapedPath()
	if !plainPath(path) {
		return nil, BadScope(f, "the path has empty or dot segments")
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if sent, ok := r.Header["X-Amz-Content-Sha256"]; ok && (len(sent) != 1 || sent[0] != hash) {
		return nil, BadScope(f, "X-Amz-Content-Sha256 is not the hash of the body")
	}
	return s.compose(r, appendPath(nil, path), hash, int64(len(body)))
}

// compose writes the canonical request from its path and the hash of its body.
func (s *Signature) compose(r *http.Request, path []byte, hash string, length int64) ([]byte, error) {
	b := make([]byte, 0, 768)
	b = append(b, r.Method...)
	b = append(b, '\n')
	b = append(b, path...)
	b = append(b, '\n')
	b, err := appendQuery(b, r.URL.RawQuery, s.Presigned)
	if err != nil {
		return nil, Incomplete(FamilyOf(s.Scope.Service), "the query cannot be read")
	}
	b = append(b, '\n')
	for _, h := range s.Headers {
		b = appendHeader(b, h, r, length)
	}
	b = append(b, '\n')
	b = append(b, strings.Join(s.Headers, ";")...)
	b = append(b, '\n')
	return append(b, hash...), nil
}

// plainPath refuses what signers normalize differently from each other.
func plainPath(p string) bool {
	if p == "" || p == "/" {
		return true
	}
	if strings.Contains(p, "//") {
		return false
	}
	for seg := range strings.SplitSeq(p, "/") {
		if seg == "." || seg == ".." {
			return false
		}
	}
	return true
}

// appendPath writes the path as sent, escaped once more: every service but S3
// signs it doubly escaped.
func appendPath(b []byte, p string) []byte {
	if p == "" {
		return append(b, '/')
	}
	return appendEscaped(b, p, true)
}

func appendEscaped(b []byte, s string, slash bool) []byte {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '~', slash && c == '/':
			b = append(b, c)
		default:
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return b
}

func appendQuery(b []byte, raw string, presigned bool) ([]byte, error) {
	if raw == "" {
		return b, nil
	}
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, err
	}
	pairs := make([][2]string, 0, len(q))
	for k, values := range q {
		if presigned && k == "X-Amz-Signature" {
			continue
		}
		name := string(appendEscaped(nil, k, false))
		for _, v := range values {
			pairs = append(pairs, [2]string{name, string(appendEscaped(nil, v, false))})
		}
	}
	slices.SortFunc(pairs, func(x, y [2]string) int {
		if n := strings.Compare(x[0], y[0]); n != 0 {
			return n
		}
		return strings.Compare(x[1], y[1])
	})
	for i, p := range pairs {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, p[0]...)
		b = append(b, '=')
		b = append(b, p[1]...)
	}
	return b, nil
}

func appendHeader(b []byte, h string, r *http.Request, length int64) []byte {
	b = append(b, h...)
	b = append(b, ':')
	switch v := r.Header[http.CanonicalHeaderKey(h)]; {
	case h == "host":
		b = append(b, r.Host...)
	case len(v) > 0:
		b = appendTrimmed(b, v[0])
	case h == "content-length":
		b = strconv.AppendInt(b, length, 10)
	}
	return append(b, '\n')
}

// appendTrimmed writes v without outer spaces and with inner runs of them as one.
func appendTrimmed(b []byte, v string) []byte {
	v = strings.Trim(v, " ")
	for i := range len(v) {
		if v[i] == ' ' && i > 0 && v[i-1] == ' ' {
			continue
		}
		b = append(b, v[i])
	}
	return b
}
