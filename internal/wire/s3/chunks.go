package s3

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strconv"
	"strings"
)

const (
	maxLine  = 4096     // bytes of a line between chunks
	maxChunk = 16 << 20 // bytes of a signed chunk: it is hashed before it is given out
	maxTrail = 16       // lines of the trailer
)

// chunks decodes the content encoding aws-chunked. Source: the S3 API reference,
// "Transferring a payload in multiple chunks" and "Trailing headers".
type chunks struct {
	in       *bufio.Reader
	signer   Signer // nil: the chunks are not signed
	trailer  bool
	trailers map[string]string

	left  int64        // of an unsigned chunk
	ready bytes.Reader // of a signed one, checked
	ended bool
}

var errChunk = BadRequest("IncompleteBody", "The request body is not in the form of aws-chunked.")

// Read gives out content, that of signed chunks only once it was checked.
func (c *chunks) Read(p []byte) (int, error) {
	for {
		if c.ready.Len() > 0 {
			return c.ready.Read(p)
		}
		if c.left > 0 {
			n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
			if c.left -= int64(n); c.left == 0 && err == nil {
				err = c.newline()
			}
			return n, broken(err)
		}
		if c.ended {
			return 0, io.EOF
		}
		if err := c.next(); err != nil {
			return 0, broken(err)
		}
	}
}

// broken keeps an end that comes too early from passing for one.
func broken(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// next reads the head of a chunk: its length in hex and, where chunks are signed, its
// signature.
func (c *chunks) next() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	size, extension, _ := strings.Cut(line, ";")
	n, err := strconv.ParseInt(size, 16, 64)
	if err != nil || n < 0 || n > MaxObject {
		return errChunk
	}
	if c.signer == nil {
		c.left = n
		if n == 0 {
			c.ended = true
			return c.end()
		}
		return nil
	}
	signature, ok := strings.CutPrefix(extension, "chunk-signature=")
	if !ok || n > maxChunk {
		return errChunk
	}
	return c.signed(n, signature)
}

func (c *chunks) signed(n int64, signature string) error {
	content, err := io.ReadAll(io.LimitReader(c.in, n))
	if err != nil || int64(len(content)) != n {
		return errors.Join(errChunk, err)
	}
	if !c.signer.Chunk(sha256.Sum256(content), signature) {
		return errSignature
	}
	if n == 0 {
		c.ended = true
		return c.end()
	}
	c.ready.Reset(content)
	return c.newline()
}

// end reads what follows the last chunk: trailers up to an empty line.
func (c *chunks) end() error {
	c.trailers = map[string]string{}
	var signed []byte
	signature := ""
	for range maxTrail {
		line, err := c.line()
		if err != nil && !(errors.Is(err, io.EOF) && line == "") {
			return err
		}
		if line == "" {
			return c.closed(signed, signature)
		}
		name, value, ok := strings.Cut(line, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || !c.trailer {
			return errChunk
		}
		if name == "x-amz-trailer-signature" {
			signature = strings.TrimSpace(value)
			continue
		}
		c.trailers[name] = strings.TrimSpace(value)
		signed = append(signed, name+":"+strings.TrimSpace(value)+"\n"...)
	}
	return errChunk
}

// closed checks the trailer, and that nothing comes after it.
func (c *chunks) closed(signed []byte, signature string) error {
	if c.signer != nil && c.trailer && !c.signer.Trailer(sha256.Sum256(signed), signature) {
		return errSignature
	}
	if _, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
		return errChunk
	}
	return nil
}

// line reads a line of limited length without its end.
func (c *chunks) line() (string, error) {
	b, err := c.in.ReadSlice('\n')
	if err != nil && !(errors.Is(err, io.EOF) && len(b) == 0) {
		return "", errChunk
	}
	return strings.TrimRight(string(b), "\r\n"), err
}

func (c *chunks) newline() error {
	line, err := c.line()
	if err == nil && line != "" {
		err = errChunk
	}
	return err
}
