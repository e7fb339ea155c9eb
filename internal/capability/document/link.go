package document

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// FilesPath is where attachments are downloaded: FilesPath + FETCH/NUMBER/NAME, with
// a signature for this file and time in the query.
const FilesPath = "/attachments/"

// linkLife is how long the URL of an attachment works. AWS does not say how long its
// own do; nodes fetch at once.
const linkLife = 15 * time.Minute

// SetURL tells where nodes reach the hub, before any call is served.
func (s *Service) SetURL(address string) { s.base = strings.TrimSuffix(address, "/") }

func (s *Service) host() string {
	u, err := url.Parse(s.base)
	if err != nil {
		return ""
	}
	return u.Host
}

func (s *Service) sign(path, expires string) string {
	mac := hmac.New(sha256.New, s.Key)
	fmt.Fprintf(mac, "document attachment\n%s\n%s", path, expires)
	return hex.EncodeToString(mac.Sum(nil))
}

// link is a URL that gives out a file for a while, to whoever has it.
func (s *Service) link(f file, now time.Time) string {
	path := FilesPath + strings.TrimPrefix(f.Blob, "documents/") + "/" + f.Name
	expires := strconv.FormatInt(now.Add(linkLife).Unix(), 10)
	return s.base + path + "?expires=" + expires + "&signature=" + s.sign(path, expires)
}

// attachmentsContent lists files with their URLs.
func (s *Service) attachmentsContent(files []file, now time.Time) (out []ssm.AttachmentContent) {
	for _, f := range files {
		out = append(out, ssm.AttachmentContent{
			Name: new(f.Name), Url: new(s.link(f, now)), Hash: new(f.SHA256), HashType: ssm.AttachmentHashTypeSha256, Size: new(f.Size),
		})
	}
	return out
}

// ServeHTTP gives out an attachment by a URL that GetDocument answered.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	expires, signature := r.URL.Query().Get("expires"), r.URL.Query().Get("signature")
	until, err := strconv.ParseInt(expires, 10, 64)
	if !hmac.Equal([]byte(signature), []byte(s.sign(r.URL.Path, expires))) || err != nil {
		http.Error(w, "The signature of the URL is not valid.", http.StatusForbidden)
		return
	}
	rest := strings.TrimPrefix(r.URL.Path, FilesPath)
	var f *file
	err = s.DB.View(r.Context(), func(tx *db.Tx) (err error) {
		if f = nil; tx.Now.Unix() > until {
			return nil
		}
		f, err = fileOf(tx, "documents/"+rest[:strings.LastIndexByte(rest, '/')])
		return err
	})
	switch {
	case err != nil:
		http.Error(w, "The file cannot be read now.", http.StatusServiceUnavailable)
	case f == nil:
		http.Error(w, "The URL is not valid any more.", http.StatusForbidden)
	default:
		s.give(w, r, f)
	}
}

func (s *Service) give(w http.ResponseWriter, r *http.Request, f *file) {
	body, err := s.Blobs.Get(r.Context(), f.Blob, 0, -1)
	if err != nil {
		http.Error(w, "The file cannot be read now.", http.StatusServiceUnavailable)
		return
	}
	defer func() { _ = body.Close() }()
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(linkLife)) // a connection without deadlines has its own
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(f.Size, 10))
	if _, err := io.CopyN(w, body, f.Size); err != nil {
		panic(http.ErrAbortHandler) // the length was promised
	}
}
