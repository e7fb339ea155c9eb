package inventory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Limits of AWS:File and of custom types.
const (
	maxFiles  = 500     // entries, as the stock agent has it
	maxLooked = 100_000 // files that are looked at
	maxCustom = 1 << 20 // bytes of a file of the operator
)

// where is one element of the input files.
type where struct {
	Path      string
	Pattern   []string
	Recursive bool
}

// files lists the files that the input names: [{"Path":"/etc","Pattern":["*.conf"],"Recursive":true}].
func (k *Collector) files(ctx context.Context, text string) ([]Entry, error) {
	var list []where
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("files is not a list of Path, Pattern and Recursive: %w", err)
	}
	var out []Entry
	looked := 0
	for _, w := range list {
		if !filepath.IsAbs(w.Path) || len(w.Pattern) == 0 {
			return nil, fmt.Errorf("files: %q is not an absolute path with patterns", w.Path)
		}
		err := filepath.WalkDir(k.path(w.Path), func(path string, d fs.DirEntry, err error) error {
			if looked++; looked > maxLooked || len(out) >= maxFiles || ctx.Err() != nil {
				return fs.SkipAll
			}
			return w.visit(k, path, d, err, &out)
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (w where) visit(k *Collector, path string, d fs.DirEntry, err error, out *[]Entry) error {
	switch {
	case err != nil:
		return nil // what cannot be read is left out
	case d.IsDir():
		if !w.Recursive && path != k.path(w.Path) {
			return fs.SkipDir
		}
		return nil
	case !d.Type().IsRegular() || !slices.ContainsFunc(w.Pattern, func(p string) bool { ok, _ := filepath.Match(p, d.Name()); return ok }):
		return nil
	}
	if st, err := d.Info(); err == nil {
		*out = append(*out, Entry{
			"Name": d.Name(), "InstalledDir": filepath.Dir(path), "Size": strconv.FormatInt(st.Size(), 10),
			"ModificationTime": st.ModTime().UTC().Format("2006-01-02T15:04:05Z"),
		})
	}
	return nil
}

var customForm = regexp.MustCompile(`^Custom:[A-Z][A-Za-z0-9_]{0,92}$`)

// custom reads the types that operators put into the directory, a file each.
func (k *Collector) custom() ([]Item, error) {
	paths, err := filepath.Glob(filepath.Join(k.Custom, "*.json"))
	if err != nil {
		return nil, err
	}
	var out []Item
	for _, path := range paths {
		item, err := customItem(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
		out = append(out, item)
	}
	return out, nil
}

func customItem(path string) (Item, error) {
	st, err := os.Stat(path)
	if err != nil {
		return Item{}, err
	}
	if st.Size() > maxCustom {
		return Item{}, errors.New("the file is larger than 1 MiB")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return Item{}, err
	}
	var in struct {
		TypeName, SchemaVersion string
		Content                 json.RawMessage
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return Item{}, err
	}
	entries, err := customEntries(in.Content)
	if err != nil || !customForm.MatchString(in.TypeName) || in.SchemaVersion == "" {
		return Item{}, errors.Join(errors.New("it is not TypeName (Custom:Name), SchemaVersion and Content with strings"), err)
	}
	return newItem(in.TypeName, in.SchemaVersion, entries), nil
}

// customEntries reads one entry or a list of them.
func customEntries(content json.RawMessage) (out []Entry, err error) {
	if strings.HasPrefix(strings.TrimSpace(string(content)), "[") {
		return out, json.Unmarshal(content, &out)
	}
	one := Entry{}
	err = json.Unmarshal(content, &one)
	return []Entry{one}, err
}
