package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm = "AWS4-HMAC-SHA256"
	terminal  = "aws4_request"
	// TimeFormat is the form of X-Amz-Date.
	TimeFormat = "20060102T150405Z"
	dateFormat = "20060102"
	// maxExpires is the longest life of a presigned URL, seven days as on AWS.
	maxExpires = 7 * 24 * time.Hour
)

// Scope is the credential scope of a signature: who signed, and for what.
type Scope struct {
	AccessKeyID string
	Date        string // yyyymmdd
	Region      string
	Service     string
}

func (s Scope) text() string { return s.Date + "/" + s.Region + "/" + s.Service + "/" + terminal }

// Signature is an authorization as read from a request, not yet checked.
type Signature struct {
	Scope        Scope
	Headers      []string // the signed ones: lower case, sorted
	Value        string   // as sent: hex of an HMAC, or base64 of a node's RSA signature
	SessionToken string
	Time         time.Time
	Expires      time.Duration // of a presigned URL
	Presigned    bool
}

// Parse reads the authorization of a request from its header or its query. It
// refuses, with an *Error, whatever is incomplete, doubled or out of form, and
// headers that must be signed and are not.
func Parse(r *http.Request) (*Signature, error) {
	f := FamilyOfRequest(r)
	auth := r.Header.Values("Authorization")
	presigned := strings.Contains(r.URL.RawQuery, "X-Amz-Signature") || strings.Contains(r.URL.RawQuery, "X-Amz-Algorithm")
	var s *Signature
	var err error
	switch {
	case len(auth) == 0 && !presigned:
		return nil, Missing(f)
	case len(auth) > 1 || len(auth) == 1 && presigned:
		return nil, Incomplete(f, "the request carries more than one authorization")
	case presigned:
		s, err = parseQuery(r, f)
	default:
		s, err = parseHeader(r, auth[0], f)
	}
	if err != nil {
		return nil, err
	}
	return s, s.complete(r)
}

func parseHeader(r *http.Request, auth string, f Family) (*Signature, error) {
	rest, ok := strings.CutPrefix(auth, algorithm+" ")
	if !ok {
		return nil, Incomplete(f, "the Authorization header must begin with %s", algorithm)
	}
	var parts [3]string
	names := [3]string{"Credential=", "SignedHeaders=", "Signature="}
	fields := strings.Split(rest, ",")
	if len(fields) != len(parts) {
		return nil, Incomplete(f, "the Authorization header must hold Credential, SignedHeaders and Signature")
	}
	for i, p := range fields {
		if parts[i], ok = strings.CutPrefix(strings.Trim(p, " "), names[i]); !ok {
			return nil, Incomplete(f, "the Authorization header must hold %s at position %d", strings.TrimSuffix(names[i], "="), i+1)
		}
	}
	date, err := once(r.Header, "X-Amz-Date", f)
	if err != nil {
		return nil, err
	}
	token, err := once(r.Header, "X-Amz-Security-Token", f)
	if err != nil {
		return nil, err
	}
	s := &Signature{SessionToken: token}
	return s, s.fill(parts, date, f)
}

func parseQuery(r *http.Request, f Family) (*Signature, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, Incomplete(f, "the query cannot be read")
	}
	for _, name := range []string{"X-Amz-Date", "X-Amz-Security-Token"} {
		if r.Header.Get(name) != "" {
			return nil, Incomplete(f, "%s is both header and query parameter", name)
		}
	}
	for k, v := range q {
		if strings.HasPrefix(strings.ToLower(k), "x-amz-") && len(v) != 1 {
			return nil, Incomplete(f, "%s occurs more than once", k)
		}
	}
	if q.Get("X-Amz-Algorithm") != algorithm {
		return nil, Incomplete(f, "X-Amz-Algorithm must be %s", algorithm)
	}
	seconds, err := strconv.Atoi(q.Get("X-Amz-Expires"))
	expires := time.Duration(seconds) * time.Second
	if err != nil || seconds < 1 || seconds > int(maxExpires/time.Second) {
		return nil, Incomplete(f, "X-Amz-Expires must be a number of seconds from 1 to %d", int(maxExpires/time.Second))
	}
	s := &Signature{Presigned: true, Expires: expires, SessionToken: q.Get("X-Amz-Security-Token")}
	parts := [3]string{q.Get("X-Amz-Credential"), q.Get("X-Amz-SignedHeaders"), q.Get("X-Amz-Signature")}
	return s, s.fill(parts, q.Get("X-Amz-Date"), f)
}

// fill sets what both forms share: credential, signed headers, signature, date.
func (s *Signature) fill(parts [3]string, date string, f Family) error {
	c := strings.Split(parts[0], "/")
	if len(c) != 5 || c[0] == "" || c[4] != terminal || slices.Contains(c, "") {
		return Incomplete(f, "the credential must have the form KEY/DATE/REGION/SERVICE/%s", terminal)
	}
	s.Scope = Scope{AccessKeyID: c[0], Date: c[1], Region: c[2], Service: c[3]}
	at, err := time.Parse(TimeFormat, date)
	if err != nil || len(date) != len(TimeFormat) {
		return Incomplete(f, "X-Amz-Date must have the form %s", TimeFormat)
	}
	if date[:len(dateFormat)] != c[1] {
		return BadScope(FamilyOf(c[3]), "the date of the credential is not that of X-Amz-Date")
	}
	s.Time = at
	s.Headers = strings.Split(parts[1], ";")
	s.Value = parts[2]
	if s.Value == "" {
		return Incomplete(f, "the signature is empty")
	}
	return nil
}

// once is the single value of a header, "" when it is absent.
func once(h http.Header, name string, f Family) (string, error) {
	v := h[name]
	if len(v) > 1 {
		return "", Incomplete(f, "%s occurs more than once", name)
	}
	if len(v) == 0 {
		return "", nil
	}
	return v[0], nil
}

// complete checks the list of signed headers: in order, present once, and with
// everything that must be in it.
func (s *Signature) complete(r *http.Request) error {
	f := FamilyOf(s.Scope.Service)
	for i, h := range s.Headers {
		if h == "" || h != strings.ToLower(h) || i > 0 && s.Headers[i-1] >= h {
			return Incomplete(f, "SignedHeaders must be lower case, sorted and without doubles")
		}
		if h == "host" || h == "content-length" {
			continue
		}
		if len(r.Header[http.CanonicalHeaderKey(h)]) != 1 {
			return Incomplete(f, "the signed header %s must occur once", h)
		}
	}
	if !s.signs("host") {
		return Incomplete(f, "the host header must be signed")
	}
	for name, values := range r.Header {
		if err := s.mustSign(strings.ToLower(name), len(values), r, f); err != nil {
			return err
		}
	}
	return nil
}

func (s *Signature) signs(h string) bool {
	_, ok := slices.BinarySearch(s.Headers, h)
	return ok
}

func (s *Signature) mustSign(h string, n int, r *http.Request, f Family) error {
	must := strings.HasPrefix(h, "x-amz-") || h == "content-type" && f != REST && !s.Presigned && s.Scope.Service != "s3"
	if !must || s.signs(h) {
		return nil
	}
	if h == "x-amz-content-sha256" && n == 1 && unsignedHash(r) {
		return nil
	}
	return Incomplete(f, "the header %s must be signed", h)
}

// unsignedHash reports the two operations on which the stock agent adds
// X-Amz-Content-Sha256 after signing.
func unsignedHash(r *http.Request) bool {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return op == "RequestManagedInstanceRoleToken" || op == "UpdateManagedInstancePublicKey"
}
