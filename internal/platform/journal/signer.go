package journal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/watchbill/watchbill/internal/platform/file"
)

const (
	keyFile      = "journal.key"
	verifierFile = "journal.pub"
	headFile     = "journal.head"
	signerName   = "watchbill-journal"
)

// Signer signs checkpoints with an Ed25519 key in a directory and keeps the newest
// signed head beside it.
type Signer struct {
	dir     string
	private note.Signer
	public  note.Verifier
}

// OpenSigner reads the key in dir and makes one at the first start: journal.key
// (mode 0600), its public half journal.pub, and the newest head journal.head.
func OpenSigner(dir string) (*Signer, error) {
	private, err := os.ReadFile(filepath.Join(dir, keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return newSigner(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if err := file.Private(filepath.Join(dir, keyFile)); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	public, err := os.ReadFile(filepath.Join(dir, verifierFile))
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return makeSigner(dir, string(private), string(public))
}

func newSigner(dir string) (*Signer, error) {
	private, public, err := note.GenerateKey(rand.Reader, signerName)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	err = errors.Join(file.Write(filepath.Join(dir, verifierFile), []byte(public+"\n"), 0o644), file.Write(filepath.Join(dir, keyFile), []byte(private+"\n"), 0o600))
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return makeSigner(dir, private, public)
}

func makeSigner(dir, private, public string) (*Signer, error) {
	s, err := note.NewSigner(strings.TrimSpace(private))
	if err != nil {
		return nil, fmt.Errorf("journal: %s: %w", keyFile, err)
	}
	v, err := note.NewVerifier(strings.TrimSpace(public))
	if err != nil {
		return nil, fmt.Errorf("journal: %s: %w", verifierFile, err)
	}
	return &Signer{dir: dir, private: s, public: v}, nil
}

// open checks the signature of a checkpoint and reads it.
func (s *Signer) open(text []byte) (tlog.Tree, error) {
	n, err := note.Open(text, note.VerifierList(s.public))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("journal: checkpoint: %w", err)
	}
	return tlog.ParseTree([]byte(n.Text))
}

func (s *Signer) keep(text []byte) error {
	return file.Write(filepath.Join(s.dir, headFile), text, 0o644)
}

// kept is the head outside, nil when none was written yet.
func (s *Signer) kept() ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, headFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}
