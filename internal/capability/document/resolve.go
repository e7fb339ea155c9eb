package document

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// preferences is the document with an account's session preferences. When the
// account has none Resolve answers the one kept here; the API does not show it.
const preferences = "SSM-SessionManagerRunShell"

// Resolved is one version of a document, ready to run.
type Resolved struct {
	Name        string // without ARN
	ARN         string
	Owner       string // account id, or Amazon
	Version     string // the number
	VersionName string
	Hash        string // SHA-256 of Content, lower-case hex
	Type        ssm.DocumentType
	Format      ssm.DocumentFormat
	Schema      string
	TargetType  string
	Platforms   []ssm.PlatformType
	Requires    []ssm.DocumentRequires
	Attachments []ssm.AttachmentsSource
	Review      ssm.ReviewStatus
	Content     string
	Doc         *ssmdoc.Document // shared: read only
}

// Resolve finds a document by name or ARN (document/NAME, or
// automation-definition/NAME:VERSION): the account's own, then those of AWS; by
// ARN also one that another account shares. Version is a number, $DEFAULT,
// $LATEST, or "" for what the ARN says and else $DEFAULT. The error is an
// InvalidDocument or InvalidDocumentVersion.
func (s *Service) Resolve(tx *db.Tx, name, version string) (*Resolved, error) {
	h, inARN, err := findAny(tx, name)
	if err != nil {
		return nil, err
	}
	if version == "" {
		version = inARN
	}
	v, err := pick(tx, h, version, "")
	if err != nil {
		return nil, err
	}
	if v.Status != "" && v.Status != ssm.DocumentStatusActive {
		return nil, &ssm.InvalidDocument{Message: fmt.Sprintf("Version %d of document %s is %s. %s", v.Number, h.Name, v.Status, v.StatusInformation)}
	}
	doc, err := s.parsed.get(v)
	if err != nil {
		return nil, fmt.Errorf("document %s version %d: stored content: %w", h.Name, v.Number, err)
	}
	return &Resolved{
		Name: h.Name, ARN: h.arn(tx), Owner: h.Owner, Version: number(v.Number), VersionName: v.Name, Hash: v.Hash,
		Type: h.Type, Format: v.Format, Schema: v.Schema, TargetType: v.TargetType, Platforms: v.Platforms,
		Requires: v.Requires, Attachments: v.Attachments, Review: v.Review, Content: v.Content, Doc: doc,
	}, nil
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// arn is the document's ARN; those of AWS have no account.
func (h *head) arn(tx *db.Tx) string {
	return arn.Make("ssm", tx.Scope.Region, h.Account, "document/"+h.Name)
}

// findAny is a document that the caller's account may read, with the version
// that an ARN names. The preferences kept here are among them.
func findAny(tx *db.Tx, name string) (*head, string, error) {
	h, version, err := findVisible(tx, name)
	if err != nil && name == preferences {
		return ownedHead(preferences), "", nil
	}
	return h, version, err
}

// findVisible is what GetDocument and DescribeDocument see.
func findVisible(tx *db.Tx, name string) (*head, string, error) {
	account, plain, version, err := split(tx, name)
	if err != nil {
		return nil, "", err
	}
	h, err := findHead(tx, selectHead, account, plain)
	switch {
	case err != nil:
		return nil, "", err
	case h == nil:
		h = ownedHead(plain)
		if h == nil || plain == preferences || account != "" && account != tx.Scope.Account {
			return nil, "", noDocument(name)
		}
	case account != tx.Scope.Account:
		if h.Shared, err = sharedWith(tx, h, tx.Scope.Account); err != nil {
			return nil, "", err
		}
		if h.Shared == "" {
			return nil, "", noDocument(name)
		}
	}
	return h, version, nil
}

// split reads a name or an ARN. An ARN without account names a document of AWS.
func split(tx *db.Tx, name string) (account, plain, version string, err error) {
	if !arn.Is(name) {
		return tx.Scope.Account, name, "", nil
	}
	a, err := arn.Parse(name)
	if err != nil || a.Service != "ssm" || a.Region != tx.Scope.Region {
		return "", "", "", noDocument(name)
	}
	if plain, ok := strings.CutPrefix(a.Resource, "document/"); ok {
		return a.Account, plain, "", nil
	}
	if rest, ok := strings.CutPrefix(a.Resource, "automation-definition/"); ok {
		plain, version, _ = strings.Cut(rest, ":")
		return a.Account, plain, version, nil
	}
	return "", "", "", noDocument(name)
}

// pick is the version that a selector (number, $DEFAULT, $LATEST, "" as
// $DEFAULT) and a version name agree on.
func pick(tx *db.Tx, h *head, selector, versionName string) (*version, error) {
	n, err := numberFor(h, selector)
	if err != nil {
		return nil, err
	}
	if versionName != "" {
		named, err := numberOf(tx, h, versionName)
		if err != nil {
			return nil, err
		}
		if named == 0 || selector != "" && named != n {
			return nil, noVersion()
		}
		n = named
	}
	if h.Shared == "$DEFAULT" && n != h.Default || h.Shared == "$LATEST" && n != h.Latest {
		return nil, noVersion()
	}
	v, err := findVersion(tx, h, n)
	if err == nil && v == nil {
		return nil, noVersion()
	}
	return v, err
}

func numberFor(h *head, selector string) (int64, error) {
	switch selector {
	case "", "$DEFAULT":
		return h.Default, nil
	case "$LATEST":
		return h.Latest, nil
	}
	n, err := strconv.ParseInt(selector, 10, 64)
	if err != nil {
		return 0, noVersion()
	}
	return n, nil
}

func noVersion() error {
	return &ssm.InvalidDocumentVersion{Message: "The document version is not valid or does not exist."}
}

// cache keeps parsed documents by format and hash.
type cache struct {
	mu   sync.Mutex
	docs map[string]*ssmdoc.Document
}

const maxParsed = 512

func (c *cache) get(v *version) (*ssmdoc.Document, error) {
	key := string(v.Format) + v.Hash
	c.mu.Lock()
	doc := c.docs[key]
	c.mu.Unlock()
	if doc != nil {
		return doc, nil
	}
	doc, err := ssmdoc.Parse([]byte(v.Content), string(v.Format))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.docs == nil || len(c.docs) >= maxParsed {
		c.docs = make(map[string]*ssmdoc.Document)
	}
	c.docs[key] = doc
	return doc, nil
}
