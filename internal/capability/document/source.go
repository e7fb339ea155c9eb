package document

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/s3"
)

// maxFiles is how many attachments a version has at most.
// https://docs.aws.amazon.com/general/latest/gr/ssm.html
const maxFiles = 20

// fileForm is the pattern of an AttachmentIdentifier without the names that lead
// to another directory.
var fileForm = regexp.MustCompile(`^[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,127}$`)

// source is where one attachment comes from: another document's file, or an address.
type source struct {
	Name     string
	Address  string
	Document string // name or ARN
	Version  string
	File     string // of Document
}

// sources are the places of all attachments of a version, by name. A SourceUrl is a
// directory of the files that the content lists under files.
func sources(v *version, doc *ssmdoc.Document) ([]source, error) {
	var out []source
	for _, a := range v.Attachments {
		if len(a.Values) != 1 {
			return nil, fault.Validation("An attachment source %s has exactly one value.", a.Key)
		}
		some, err := sourcesOf(a, manifest(doc))
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	slices.SortFunc(out, func(a, b source) int { return strings.Compare(a.Name, b.Name) })
	if len(out) > maxFiles {
		return nil, fault.Validation("A document has at most %d attachments.", maxFiles)
	}
	for i, s := range out {
		if !fileForm.MatchString(s.Name) {
			return nil, fault.Validation("The attachment name %q is not valid.", s.Name)
		}
		if i > 0 && out[i-1].Name == s.Name {
			return nil, fault.Validation("Two attachments have the name %s.", s.Name)
		}
	}
	return out, nil
}

func sourcesOf(a ssm.AttachmentsSource, files []sum) ([]source, error) {
	value := a.Values[0]
	if a.Key == ssm.AttachmentsSourceKeyAttachmentReference {
		s, err := reference(value)
		if a.Name != nil {
			s.Name = *a.Name
		}
		return []source{s}, err
	}
	if err := checkAddress(value); err != nil {
		return nil, err
	}
	if a.Key != ssm.AttachmentsSourceKeySourceUrl {
		return []source{{Name: attachmentName(a), Address: value}}, nil
	}
	if len(files) == 0 {
		return nil, fault.Validation("With a SourceUrl the content has to name the attachments under files.")
	}
	var out []source
	for _, f := range files {
		out = append(out, source{Name: f.Name, Address: strings.TrimSuffix(value, "/") + "/" + f.Name})
	}
	return out, nil
}

// reference reads DOCUMENT/VERSION/FILE; the document may be an ARN.
func reference(value string) (source, error) {
	parts := strings.Split(value, "/")
	if arn.Is(value) && len(parts) == 4 {
		parts = []string{parts[0] + "/" + parts[1], parts[2], parts[3]}
	}
	if len(parts) != 3 || slices.Contains(parts, "") {
		return source{}, fault.Validation("An AttachmentReference has the form document/version/file.")
	}
	return source{Name: parts[2], Document: parts[0], Version: parts[1], File: parts[2]}, nil
}

// attachmentName is the file name that an attachment goes by, "" for a directory.
func attachmentName(a ssm.AttachmentsSource) string {
	if a.Name != nil {
		return *a.Name
	}
	if len(a.Values) == 0 || a.Key == ssm.AttachmentsSourceKeySourceUrl {
		return ""
	}
	return path.Base(a.Values[0])
}

// checkAddress wants s3://BUCKET/KEY or an https URL that holds no secret.
func checkAddress(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "s3" && u.Scheme != "https":
		return fault.Validation("An attachment comes from s3://BUCKET/KEY or from an https URL.")
	case u.RawQuery != "" || u.User != nil || u.Fragment != "":
		return fault.Validation("The URL of an attachment has no user, query or fragment: they would be kept with the document.")
	}
	return nil
}

// s3Host is a host of S3, with the bucket before it or in the path.
var s3Host = regexp.MustCompile(`^(?:(.+)\.)?s3[.-](?:[a-z0-9-]+\.)*amazonaws\.com(?:\.cn)?$`)

// object is the bucket and the key that an address means in S3; ok is false for
// another web server. Hub is the host of this hub, which serves S3 as well.
func object(address, hub string) (bucket, key string, ok bool) {
	u, err := url.Parse(address)
	if err != nil {
		return "", "", false
	}
	key = strings.TrimPrefix(u.Path, "/")
	m := s3Host.FindStringSubmatch(u.Hostname())
	switch {
	case u.Scheme == "s3":
		bucket = u.Host
	case m != nil && m[1] != "":
		bucket = m[1]
	case m != nil || u.Host == hub && hub != "":
		bucket, key, _ = strings.Cut(key, "/")
	}
	return bucket, key, s3.BucketName(bucket) && key != ""
}

// sum is what the content says about one file.
type sum struct {
	Name   string
	SHA256 string // lower-case hex
	Size   int64  // 0 when it is not given
}

// manifest are the files of the content, those of a Package or of another document with
// checksums: {"files": {NAME: {"checksums": {"sha256": …}, "size": …}}}.
func manifest(doc *ssmdoc.Document) []sum {
	if doc == nil || doc.Root.Get("files") == nil {
		return nil
	}
	var out []sum
	for _, f := range doc.Root.Get("files").Fields {
		one := sum{Name: f.Key, SHA256: strings.ToLower(f.Value.At("checksums", "sha256").Str())}
		one.Size, _ = f.Value.Get("size").Int()
		out = append(out, one)
	}
	return out
}

var sumForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// checkSums wants a SHA-256 for each listed file, and an attachment for it when the
// version has any.
func checkSums(doc *ssmdoc.Document, from []source) error {
	for _, f := range manifest(doc) {
		if !fileForm.MatchString(f.Name) {
			return &ssm.InvalidDocumentContent{Message: "The file name " + f.Name + " of the content is not valid."}
		}
		if !sumForm.MatchString(f.SHA256) {
			return &ssm.InvalidDocumentContent{Message: "The file " + f.Name + " of the content has no SHA-256."}
		}
		if len(from) > 0 && !slices.ContainsFunc(from, func(s source) bool { return s.Name == f.Name }) {
			return &ssm.InvalidDocumentContent{Message: "The content names the file " + f.Name + ", which is not among the attachments."}
		}
	}
	return nil
}
