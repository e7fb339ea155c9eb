package document

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/task"
)

// file is an attachment that the hub holds.
type file struct {
	Name   string
	Blob   string // its key; several versions may name one blob
	SHA256 string // lower-case hex
	Size   int64  // bytes
}

const selectFiles = `select file, blob, sha256, size from document_file
	where account = $1 and region = $2 and name = $3 and version = $4 order by file`

func filesOf(tx *db.Tx, h *head, v *version) ([]file, error) {
	if len(v.Attachments) == 0 {
		return nil, nil
	}
	return db.Rows(tx, selectFiles, []any{h.Account, h.Region, h.Name, v.Number}, func(r *sql.Rows) (file, error) {
		var f file
		err := r.Scan(&f.Name, &f.Blob, &f.SHA256, &f.Size)
		return f, err
	})
}

const insertFile = `insert into document_file(account, region, name, version, file, blob, sha256, size)
	values($1, $2, $3, $4, $5, $6, $7, $8)`

func addFiles(tx *db.Tx, h *head, v *version, files []file) error {
	for _, f := range files {
		if _, err := tx.Exec(insertFile, h.Account, h.Region, h.Name, v.Number, f.Name, f.Blob, f.SHA256, f.Size); err != nil {
			return fmt.Errorf("document %s: add file %s: %w", h.Name, f.Name, err)
		}
	}
	return nil
}

const updateStatus = `update document_version set status = $1, status_information = $2
	where account = $3 and region = $4 and name = $5 and version = $6`

func saveStatus(tx *db.Tx, h *head, v *version) error {
	_, err := tx.Exec(updateStatus, string(v.Status), v.StatusInformation, h.Account, h.Region, h.Name, v.Number)
	if err != nil {
		return fmt.Errorf("document %s: save status: %w", h.Name, err)
	}
	return nil
}

const selectBlob = `select file, sha256, size from document_file where blob = $1 limit 1`

// fileOf is a file by its blob, nil when no version has it any more.
func fileOf(tx *db.Tx, blob string) (*file, error) {
	f := file{Blob: blob}
	err := tx.QueryRow(selectBlob, blob).Scan(&f.Name, &f.SHA256, &f.Size)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &f, err
}

const deleteFiles = `delete from document_file where account = $1 and region = $2 and name = $3 and version = $4`

// dropFiles takes the files of a version away. Their bytes go a little later, when no
// other version has them.
func (s *Service) dropFiles(tx *db.Tx, h *head, v *version) error {
	files, err := filesOf(tx, h, v)
	if err != nil || len(files) == 0 {
		return err
	}
	for _, f := range files {
		if err := s.Tasks.Enqueue(tx, task.Spec{Kind: dropTask, Key: f.Blob, Due: tx.Now.Add(linkLife)}); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(deleteFiles, h.Account, h.Region, h.Name, v.Number); err != nil {
		return fmt.Errorf("document %s: delete files: %w", h.Name, err)
	}
	return nil
}

const selectHeld = `select version from document_file where account = $1 and region = $2 and name = $3 group by version`

func (s *Service) dropAllFiles(tx *db.Tx, h *head) error {
	held, err := db.Rows(tx, selectHeld, []any{h.Account, h.Region, h.Name}, func(r *sql.Rows) (n int64, err error) {
		return n, r.Scan(&n)
	})
	if err != nil {
		return err
	}
	for _, n := range held {
		v, err := findVersion(tx, h, n)
		if err != nil {
			return err
		}
		if err := s.dropFiles(tx, h, v); err != nil {
			return err
		}
	}
	return nil
}

// inherit takes the attachments of the latest version over, whose files are there.
func inherit(tx *db.Tx, h *head, latest, v *version) (err error) {
	if len(latest.Attachments) > 0 && latest.Status != ssm.DocumentStatusActive {
		return &ssm.InvalidDocumentOperation{Message: "The attachments of the latest version are not there. Name the attachments again."}
	}
	v.inherited, err = filesOf(tx, h, latest)
	return err
}

// settle adds the files of a new version that are there, or lets them be fetched.
func (s *Service) settle(tx *db.Tx, h *head, v *version) error {
	if v.Fetch != "" {
		return s.startFetch(tx, h, v)
	}
	return addFiles(tx, h, v, v.inherited)
}

// attachmentsInformation names the attachments: those that are there, or those that are
// to come.
func attachmentsInformation(v *version, files []file) (out []ssm.AttachmentInformation) {
	for _, f := range files {
		out = append(out, ssm.AttachmentInformation{Name: new(f.Name)})
	}
	if out != nil {
		return out
	}
	for _, a := range v.Attachments {
		if name := attachmentName(a); name != "" {
			out = append(out, ssm.AttachmentInformation{Name: new(name)})
		}
	}
	return out
}
