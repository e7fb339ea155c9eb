package s3

import (
	"bytes"
	"encoding/xml"
	"io"
	"time"
)

const (
	namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
	// TimeFormat is the form of times in answers.
	TimeFormat = "2006-01-02T15:04:05.000Z"
	maxXML     = 4 << 20
)

// WriteXML writes a document with its declaration.
func WriteXML(w io.Writer, v any) error {
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	return xml.NewEncoder(w).Encode(v)
}

// ReadXML reads a body into v. A document type, and with it every entity of its own, is
// refused.
func ReadXML(r io.Reader, v any) error {
	body, err := io.ReadAll(io.LimitReader(r, maxXML+1))
	if err != nil {
		return err
	}
	malformed := BadRequest("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	if len(body) > maxXML || bytes.Contains(body, []byte("<!")) || xml.Unmarshal(body, v) != nil {
		return malformed
	}
	return nil
}

// Root names the root of an answer.
func Root(local string) xml.Name { return xml.Name{Space: namespace, Local: local} }

// Time renders a time of an answer.
func Time(t time.Time) string { return t.UTC().Format(TimeFormat) }

// Owner is who owns a bucket or an object: the account.
type Owner struct{ ID, DisplayName string }
