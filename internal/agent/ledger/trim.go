package ledger

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// ended are the files of one done job beside its record.
type ended struct {
	dir  string
	at   time.Time
	size int64
}

// Trim removes the files of done jobs, but not their records, which keep them
// from being run again: of those that were done before a time, and then of the
// oldest ones until all together have at most limit bytes. It says of how many
// jobs.
func (l *Ledger) Trim(before time.Time, limit int64) (int, error) {
	jobs, total, err := l.ended()
	if err != nil {
		return 0, err
	}
	slices.SortFunc(jobs, func(a, b ended) int { return a.at.Compare(b.at) })
	trimmed := 0
	for _, j := range jobs {
		if !j.at.Before(before) && total <= limit {
			break
		}
		if err := j.clear(); err != nil {
			return trimmed, err
		}
		total -= j.size
		trimmed++
	}
	return trimmed, nil
}

// ended lists the done jobs that have files beside the record.
func (l *Ledger) ended() (jobs []ended, total int64, err error) {
	entries, err := os.ReadDir(filepath.Join(l.dir, "done"))
	if err != nil {
		return nil, 0, err
	}
	for _, e := range entries {
		j := ended{dir: l.done(e.Name())}
		if st, err := os.Lstat(filepath.Join(j.dir, "record.json")); err == nil {
			j.at = st.ModTime()
		}
		files := 0
		_ = filepath.WalkDir(j.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == j.dir || d.Name() == "record.json" {
				return nil
			}
			files++
			if st, err := d.Info(); err == nil && st.Mode().IsRegular() {
				j.size += st.Size()
			}
			return nil
		})
		if files > 0 {
			jobs = append(jobs, j)
			total += j.size
		}
	}
	return jobs, total, nil
}

func (j ended) clear() error {
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == "record.json" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(j.dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
