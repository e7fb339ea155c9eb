package document

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/blob"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/egress"
	"github.com/watchbill/watchbill/internal/wire/s3"
)

// objects is the bucket "files" with an archive and a large file; it stands for the
// store of the hub.
func objects(_ context.Context, bucket, key string) (io.ReadCloser, error) {
	switch {
	case bucket != "files":
		return nil, s3.NotFound("NoSuchBucket", "The specified bucket does not exist")
	case key == "down":
		return nil, errors.New("secret detail")
	case key == "large":
		return io.NopCloser(strings.NewReader(strings.Repeat("x", 1001))), nil
	case !strings.HasSuffix(key, "tool.zip"):
		return nil, s3.NotFound("NoSuchKey", "The specified key does not exist.")
	}
	return io.NopCloser(strings.NewReader("archive")), nil
}

func sumOf(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

func packageOf(version, sum string) string {
	return fmt.Sprintf(`{"schemaVersion":"2.0","version":%q,"packages":{"_any":{"_any":{"_any":{"file":"tool.zip"}}}},"files":{"tool.zip":{"checksums":{"sha256":%q}}}}`, version, sum)
}

func from(key ssm.AttachmentsSourceKey, value string) ssm.AttachmentsSource {
	return ssm.AttachmentsSource{Key: key, Values: []string{value}}
}

func createPackage(s *Service, name, content string, from ...ssm.AttachmentsSource) error {
	_, err := s.CreateDocument(inScope(), &ssm.CreateDocumentInput{
		Name: new(name), DocumentType: ssm.DocumentTypePackage, Content: new(content), Attachments: from,
	})
	return err
}

// settled runs the tasks and reads a document.
func settled(t *testing.T, s *Service, name, version string) *ssm.GetDocumentOutput {
	t.Helper()
	if err := s.Tasks.RunDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, err := s.GetDocument(inScope(), &ssm.GetDocumentInput{Name: new(name), DocumentVersion: new(version)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func download(s *Service, address string) (int, string) {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, address, nil))
	return w.Code, w.Body.String()
}

func TestAttachmentsAreFetchedAndGivenOut(t *testing.T) {
	each(t, func(t *testing.T, s *Service) {
		if err := createPackage(s, "Tool", packageOf("1", sumOf("archive")), from(ssm.AttachmentsSourceKeySourceUrl, "https://s3.us-east-1.amazonaws.com/files/dir/")); err != nil {
			t.Fatal(err)
		}
		early, err := s.GetDocument(inScope(), &ssm.GetDocumentInput{Name: new("Tool")})
		if err != nil || early.Status != ssm.DocumentStatusCreating || early.AttachmentsContent != nil {
			t.Errorf("before the fetch: %+v %v", early, err)
		}
		got := settled(t, s, "Tool", "1")
		if got.Status != ssm.DocumentStatusActive || len(got.AttachmentsContent) != 1 {
			t.Fatalf("%+v", got)
		}
		file := got.AttachmentsContent[0]
		address := *file.Url
		file.Url = nil
		want := ssm.AttachmentContent{Name: new("tool.zip"), Hash: new(sumOf("archive")), HashType: ssm.AttachmentHashTypeSha256, Size: new(int64(7))}
		if diff := cmp.Diff(want, file); diff != "" {
			t.Error(diff)
		}
		if code, body := download(s, address); code != http.StatusOK || body != "archive" {
			t.Errorf("%d %q", code, body)
		}
		u, _ := url.Parse(address)
		for _, bad := range []string{
			u.Path, address + "0", strings.Replace(address, "tool.zip", "other.zip", 1), strings.Replace(address, "/0/", "/1/", 1),
			strings.Replace(address, "expires=", "expires=9", 1), FilesPath, FilesPath + "x?expires=1&signature=" + s.sign(FilesPath+"x", "1"),
		} {
			if code, _ := download(s, bad); code != http.StatusForbidden {
				t.Errorf("%s: %d", bad, code)
			}
		}
		expired := s.link(file0(t, s), time.Now().Add(-linkLife-time.Minute))
		if code, _ := download(s, expired); code != http.StatusForbidden {
			t.Errorf("after its time: %d", code)
		}
	})
}

// file0 is the file of version 1 of Tool.
func file0(t *testing.T, s *Service) (f file) {
	t.Helper()
	err := s.DB.View(inScope(), func(tx *db.Tx) error {
		h, v, err := find(tx, "Tool", "1", "")
		if err != nil {
			return err
		}
		files, err := filesOf(tx, h, v)
		if err == nil {
			f = files[0]
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAttachmentsOfLaterVersionsShareTheFile(t *testing.T) {
	each(t, func(t *testing.T, s *Service) {
		if err := createPackage(s, "Tool", packageOf("1", sumOf("archive")), from(ssm.AttachmentsSourceKeyS3FileUrl, "s3://files/tool.zip")); err != nil {
			t.Fatal(err)
		}
		settled(t, s, "Tool", "1")
		if err := createPackage(s, "Other", packageOf("2", sumOf("archive")), from(ssm.AttachmentsSourceKeyAttachmentReference, "Tool/1/tool.zip")); err != nil {
			t.Fatal(err)
		}
		if got := settled(t, s, "Other", "1"); got.Status != ssm.DocumentStatusActive {
			t.Fatalf("%+v", got)
		}
		up := &ssm.UpdateDocumentInput{Name: new("Tool"), DocumentVersion: new("$LATEST"), Content: new(packageOf("2", sumOf("else")))}
		_, err := s.UpdateDocument(inScope(), up)
		wantCode(t, err, "InvalidDocumentContent", "has the SHA-256")
		up.Content = new(packageOf("2", sumOf("archive")))
		out, err := s.UpdateDocument(inScope(), up)
		if err != nil || out.DocumentDescription.Status != ssm.DocumentStatusActive || len(out.DocumentDescription.AttachmentsInformation) != 1 {
			t.Fatalf("the files of the version before: %+v %v", out, err)
		}
		key := file0(t, s).Blob
		for _, name := range []string{"Tool", "Other"} {
			if _, err := s.Blobs.Stat(t.Context(), key); err != nil {
				t.Errorf("before %s is deleted: %v", name, err)
			}
			if _, err := s.DeleteDocument(inScope(), &ssm.DeleteDocumentInput{Name: new(name)}); err != nil {
				t.Fatal(err)
			}
			hurry(t, s, key)
		}
		if _, err := s.Blobs.Stat(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("nobody has it: %v", err)
		}
	})
}

// hurry runs the task that throws a blob away at once.
func hurry(t *testing.T, s *Service, key string) {
	t.Helper()
	err := s.DB.Update(inScope(), func(tx *db.Tx) error {
		_, err := s.Tasks.Reschedule(tx, dropTask, key, tx.Now)
		return err
	})
	if err == nil {
		err = s.Tasks.RunDue(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAttachmentsThatCannotBeHad(t *testing.T) {
	right := packageOf("1", sumOf("archive"))
	each(t, func(t *testing.T, s *Service) {
		s.Web = egress.Policy{}.Client(time.Minute)
		for _, tt := range []struct {
			name, content, address, want string
		}{
			{"Sum", packageOf("1", sumOf("else")), "s3://files/tool.zip", "has the SHA-256 " + sumOf("archive")},
			{"Key", right, "s3://files/none", "The specified key does not exist"},
			{"Bucket", right, "s3://nothing/tool.zip", "The specified bucket does not exist"},
			{"Large", right, "s3://files/large", "too large"},
			{"Inside", right, "https://127.0.0.1:1/tool.zip", "the hub may not go to that address"},
			{"Metadata", right, "https://169.254.169.254/tool.zip", "the hub may not go to that address"},
		} {
			file := from(ssm.AttachmentsSourceKeyS3FileUrl, tt.address)
			file.Name = new("tool.zip")
			if err := createPackage(s, tt.name, tt.content, file); err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			got := settled(t, s, tt.name, "1")
			if got.Status != ssm.DocumentStatusFailed || !strings.Contains(*got.StatusInformation, tt.want) || got.AttachmentsContent != nil {
				t.Errorf("%s: %s %v", tt.name, got.Status, got.StatusInformation)
			}
			err := s.DB.View(inScope(), func(tx *db.Tx) error {
				_, err := s.Resolve(tx, tt.name, "")
				return err
			})
			wantCode(t, err, "InvalidDocument", "Failed")
		}
		if left, err := s.Blobs.List(t.Context(), "documents/", "", 10); err != nil || len(left) > 0 {
			t.Errorf("left %v %v", left, err)
		}
	})
}

func TestAttachmentsThatAreRefused(t *testing.T) {
	right := packageOf("1", sumOf("archive"))
	each(t, func(t *testing.T, s *Service) {
		for _, tt := range []struct {
			name, content string
			key           ssm.AttachmentsSourceKey
			value, file   string
			code          string
		}{
			{"up", right, ssm.AttachmentsSourceKeyS3FileUrl, "s3://files/x", "..", "ValidationException"},
			{"hidden", right, ssm.AttachmentsSourceKeyS3FileUrl, "s3://files/x", ".tool", "ValidationException"},
			{"path", strings.ReplaceAll(right, "tool.zip", "../tool.zip"), ssm.AttachmentsSourceKeySourceUrl, "s3://files/x", "", "ValidationException"},
			{"scheme", right, ssm.AttachmentsSourceKeyS3FileUrl, "file:///etc/passwd", "tool.zip", "ValidationException"},
			{"plain", right, ssm.AttachmentsSourceKeyS3FileUrl, "http://files/x", "tool.zip", "ValidationException"},
			{"signed", right, ssm.AttachmentsSourceKeyS3FileUrl, "https://h/x?X-Amz-Signature=1", "tool.zip", "ValidationException"},
			{"user", right, ssm.AttachmentsSourceKeyS3FileUrl, "https://u:p@h/x", "tool.zip", "ValidationException"},
			{"reference", right, ssm.AttachmentsSourceKeyAttachmentReference, "Tool/1", "", "ValidationException"},
			{"other file", right, ssm.AttachmentsSourceKeyS3FileUrl, "s3://files/x", "other.zip", "InvalidDocumentContent"},
			{"no sum", packageOf("1", "x"), ssm.AttachmentsSourceKeyS3FileUrl, "s3://files/tool.zip", "", "InvalidDocumentContent"},
		} {
			a := from(tt.key, tt.value)
			if tt.file != "" {
				a.Name = new(tt.file)
			}
			t.Run(tt.name, func(t *testing.T) { wantCode(t, createPackage(s, "Bad", tt.content, a), tt.code, "") })
		}
	})
}

func TestObject(t *testing.T) {
	for address, want := range map[string]string{
		"s3://bucket/a/b": "bucket a/b", "https://s3.amazonaws.com/bucket/k": "bucket k", "https://s3-eu-west-1.amazonaws.com/bucket/k": "bucket k",
		"https://bucket.s3.eu-west-1.amazonaws.com/k": "bucket k", "https://hub:1/bucket/k": "bucket k", "https://example.com/bucket/k": "",
		"https://s3.amazonaws.com.example.com/bucket/k": "", "s3://bucket": "", "https://s3.evil-amazonaws.com/bucket/k": "",
	} {
		bucket, key, ok := object(address, "hub:1")
		if got := bucket + " " + key; ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q %v", address, got, ok)
		}
	}
}

// A source that is down is tried again; what it said stays in the hub.
func TestAttachmentsAreTriedAgain(t *testing.T) {
	each(t, func(t *testing.T, s *Service) {
		file := from(ssm.AttachmentsSourceKeyS3FileUrl, "s3://files/down")
		file.Name = new("tool.zip")
		if err := createPackage(s, "Tool", packageOf("1", sumOf("archive")), file); err != nil {
			t.Fatal(err)
		}
		for try := range fetchTries {
			got := settled(t, s, "Tool", "1")
			if want := try == fetchTries-1; (got.Status == ssm.DocumentStatusFailed) != want {
				t.Fatalf("try %d: %s", try, got.Status)
			}
			again(t, s, "Tool")
		}
		got := settled(t, s, "Tool", "1")
		if strings.Contains(*got.StatusInformation, "secret") {
			t.Error(*got.StatusInformation)
		}
		// The same content again, now that the source is there.
		_, err := s.UpdateDocument(inScope(), &ssm.UpdateDocumentInput{
			Name: new("Tool"), DocumentVersion: new("$LATEST"), Content: new(packageOf("1", sumOf("archive"))),
		})
		wantCode(t, err, "InvalidDocumentOperation", "Name the attachments again")
		_, err = s.UpdateDocument(inScope(), &ssm.UpdateDocumentInput{
			Name: new("Tool"), DocumentVersion: new("$LATEST"), Content: new(packageOf("1", sumOf("archive"))),
			Attachments: []ssm.AttachmentsSource{from(ssm.AttachmentsSourceKeyS3FileUrl, "s3://files/tool.zip")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := settled(t, s, "Tool", "2"); got.Status != ssm.DocumentStatusActive {
			t.Errorf("%+v", got)
		}
	})
}

// again makes the next try of a fetch due.
func again(t *testing.T, s *Service, name string) {
	t.Helper()
	err := s.DB.Update(inScope(), func(tx *db.Tx) error {
		_, v, err := find(tx, name, "1", "")
		if err == nil {
			_, err = s.Tasks.Reschedule(tx, fetchTask, v.Fetch, tx.Now)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A document that is deleted while its attachments are on the way leaves nothing.
func TestAttachmentsOfADeletedDocument(t *testing.T) {
	each(t, func(t *testing.T, s *Service) {
		s.Object = func(ctx context.Context, bucket, key string) (io.ReadCloser, error) {
			if _, err := s.DeleteDocument(inScope(), &ssm.DeleteDocumentInput{Name: new("Tool")}); err != nil {
				return nil, err
			}
			return objects(ctx, bucket, key)
		}
		if err := createPackage(s, "Tool", packageOf("1", sumOf("archive")), from(ssm.AttachmentsSourceKeyS3FileUrl, "s3://files/tool.zip")); err != nil {
			t.Fatal(err)
		}
		if err := s.Tasks.RunDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left, err := s.Blobs.List(t.Context(), "documents/", "", 10); err != nil || len(left) > 0 {
			t.Errorf("left %v %v", left, err)
		}
	})
}
