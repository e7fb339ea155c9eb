package s3

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// The words that stand for the hash of a body.
const (
	Unsigned        = "UNSIGNED-PAYLOAD"
	unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	signedChunks    = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	signedTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
)

// MaxObject is how many bytes one body can have.
const MaxObject = 5 << 30

// Payload is what a request says of its body for the signature: the hash, or a word.
func Payload(r *http.Request) (string, error) {
	sent := r.Header.Get("X-Amz-Content-Sha256")
	if sent == "" {
		sent = r.URL.Query().Get("X-Amz-Content-Sha256")
	}
	switch {
	case sent == "" && r.URL.Query().Has("X-Amz-Signature"):
		return Unsigned, nil
	case sent == Unsigned, sent == unsignedTrailer, sent == signedChunks, sent == signedTrailer:
		return sent, nil
	}
	if b, err := hex.DecodeString(sent); err != nil || len(b) != sha256.Size {
		return "", BadRequest("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
	}
	return sent, nil
}

// Signer checks the signatures of chunks; *sigv4.Stream is one.
type Signer interface {
	Chunk(hash [sha256.Size]byte, signature string) bool
	Trailer(hash [sha256.Size]byte, signature string) bool
}

// Body is the content of a request. Its last Read says whether all that was promised
// of it is true: length, hashes and signatures; a body that ends otherwise than with
// io.EOF must not be kept.
type Body struct {
	src      io.Reader // the decoded content
	chunks   *chunks   // nil for a plain body
	left     int64     // of what was announced, -1 when nothing was
	sums     []sum
	md5      hash.Hash
	checksum *sum // the one that the client chose to have kept
	done     bool
}

// sum is one promise about the content.
type sum struct {
	name   string // of the algorithm, as in x-amz-checksum-NAME; "" for the others
	hash   hash.Hash
	want   []byte // nil: comes in the trailer
	refuse *Error
}

var algorithms = map[string]func() hash.Hash{
	"crc32":     func() hash.Hash { return crc32.NewIEEE() },
	"crc32c":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"crc64nvme": func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) },
	"sha1":      sha1.New,
	"sha256":    sha256.New,
}

var (
	errDigest    = BadRequest("BadDigest", "The Content-MD5 or checksum value you specified did not match what we received.")
	errSHA256    = BadRequest("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
	errBody      = BadRequest("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header.")
	errSignature = &Error{Status: http.StatusForbidden, Code: "SignatureDoesNotMatch", Message: "The signature of a chunk is not the one of its content."}
)

// NewBody prepares to read the content of a request whose payload is as Payload gave
// it and was found to be signed.
func NewBody(r *http.Request, payload string, signer Signer) (*Body, error) {
	b := &Body{src: r.Body, left: r.ContentLength, md5: md5.New()}
	if strings.HasPrefix(payload, "STREAMING-") {
		n, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
		if err != nil || n < 0 {
			return nil, &Error{Status: http.StatusLengthRequired, Code: "MissingContentLength", Message: "You must provide the x-amz-decoded-content-length header."}
		}
		b.chunks = &chunks{in: bufio.NewReaderSize(r.Body, maxLine), trailer: strings.HasSuffix(payload, "TRAILER")}
		if payload != unsignedTrailer {
			b.chunks.signer = signer
		}
		b.src, b.left = b.chunks, n
	} else if payload != Unsigned {
		want, _ := hex.DecodeString(payload) // checked by Payload
		b.sums = append(b.sums, sum{hash: sha256.New(), want: want, refuse: errSHA256})
	}
	if b.left > MaxObject {
		return nil, BadRequest("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
	}
	if b.left < 0 && b.chunks == nil && r.ContentLength < 0 {
		return nil, &Error{Status: http.StatusLengthRequired, Code: "MissingContentLength", Message: "You must provide the Content-Length HTTP header."}
	}
	return b, b.promises(r.Header)
}

// promises reads the checksums that the header announces.
func (b *Body) promises(h http.Header) error {
	if v := h.Get("Content-Md5"); v != "" {
		want, err := base64.StdEncoding.DecodeString(v)
		if err != nil || len(want) != md5.Size {
			return BadRequest("InvalidDigest", "The Content-MD5 you specified is not valid.")
		}
		b.sums = append(b.sums, sum{hash: md5.New(), want: want, refuse: errDigest})
	}
	trailer := strings.ToLower(h.Get("X-Amz-Trailer"))
	for name, make := range algorithms {
		header := "x-amz-checksum-" + name
		v := h.Get(header)
		switch {
		case v != "":
			want, err := base64.StdEncoding.DecodeString(v)
			if err != nil || len(want) != make().Size() {
				return BadRequest("InvalidRequest", "Value for %s header is invalid.", header)
			}
			b.sums = append(b.sums, sum{name: name, hash: make(), want: want, refuse: errDigest})
		case trailer == header && b.chunks != nil:
			b.sums = append(b.sums, sum{name: name, hash: make(), refuse: errDigest})
		}
	}
	return nil
}

// Read reads content.
func (b *Body) Read(p []byte) (int, error) {
	n, err := b.src.Read(p)
	for _, s := range b.sums {
		s.hash.Write(p[:n])
	}
	b.md5.Write(p[:n])
	if b.left -= int64(n); b.left < 0 {
		return n, errBody
	}
	if errors.Is(err, io.EOF) {
		if end := b.end(); end != nil {
			return n, end
		}
		b.done = true
		return n, err
	}
	if err != nil {
		if _, ours := errors.AsType[*Error](err); !ours {
			err = errBody
		}
	}
	return n, err
}

// end checks what was promised.
func (b *Body) end() error {
	if b.left != 0 {
		return errBody
	}
	for i := range b.sums {
		s := &b.sums[i]
		if s.want == nil && b.chunks != nil {
			s.want, _ = base64.StdEncoding.DecodeString(b.chunks.trailers["x-amz-checksum-"+s.name])
		}
		if !bytes.Equal(s.want, s.hash.Sum(nil)) {
			return s.refuse
		}
		if s.name != "" {
			b.checksum = s
		}
	}
	return nil
}

// MD5 is the hash of what was read.
func (b *Body) MD5() []byte { return b.md5.Sum(nil) }

// Checksum is the name and the value of the checksum that the client sent and that was
// found true; empty when it sent none.
func (b *Body) Checksum() (name, value string) {
	if !b.done || b.checksum == nil {
		return "", ""
	}
	return b.checksum.name, base64.StdEncoding.EncodeToString(b.checksum.want)
}
