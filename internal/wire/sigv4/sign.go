package sigv4

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Credentials are an access key, with the session token of a temporary one.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
}

// unsigned are the headers that hops between client and server may change.
var unsigned = []string{"authorization", "user-agent", "x-amzn-trace-id", "expect", "transfer-encoding", "connection"}

// Sign signs a request in its Authorization header. It sets X-Amz-Date and, for
// temporary credentials, X-Amz-Security-Token, and signs every header but those
// that change on the way.
func Sign(r *http.Request, body []byte, c Credentials, service, region string, now time.Time) error {
	now = now.UTC().Truncate(time.Second)
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	r.Header.Set("X-Amz-Date", now.Format(TimeFormat))
	r.Header.Del("X-Amz-Security-Token")
	if c.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", c.SessionToken)
	}
	s := &Signature{
		Scope: Scope{c.AccessKeyID, now.Format(dateFormat), region, service},
		Time:  now, Headers: signable(r.Header),
	}
	text, err := s.StringToSign(r, body)
	if err != nil {
		return err
	}
	key := derive(c.SecretAccessKey, s.Scope)
	s.Value = hex.EncodeToString(mac(key[:], text))
	r.Header.Set("Authorization", s.header())
	return nil
}

func (s *Signature) header() string {
	return algorithm + " Credential=" + s.Scope.AccessKeyID + "/" + s.Scope.text() +
		", SignedHeaders=" + strings.Join(s.Headers, ";") + ", Signature=" + s.Value
}

func signable(h http.Header) []string {
	names := []string{"host"}
	for name, v := range h {
		name = strings.ToLower(name)
		if len(v) == 1 && name != "host" && !slices.Contains(unsigned, name) && !strings.HasPrefix(name, "amz-sdk-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
