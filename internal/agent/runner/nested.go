package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
)

// maxDepth is how deep documents may run documents, as the stock agent has it.
const maxDepth = 3

// maxDocument is the largest document that is read from a file, as AWS's.
const maxDocument = 64 << 10

// document runs aws:runDocument: the steps of another document, from the hub
// or from a file of this node.
func (r *Runner) document(ctx context.Context, c *Call) Result {
	if c.depth >= maxDepth {
		return c.Fail(fmt.Errorf("documents that run documents may be nested %d deep", maxDepth))
	}
	content, name, err := r.source(ctx, c)
	if err != nil {
		return c.Ended(ctx, err)
	}
	job, err := nested(name, content, c.Inputs["documentParameters"])
	if err != nil {
		return c.Fail(fmt.Errorf("document %s: %w", name, err))
	}
	job.depth = c.depth + 1
	dir := filepath.Join(c.Dir, fmt.Sprintf("document-%d", c.index))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return c.Fail(err)
	}
	res := Result{Status: Success}
	res.Status, _ = r.Run(ctx, dir, job, Progress{}, func(one Result) {
		c.include(one)
		if one.Code != 0 {
			res.Code, res.Signal = one.Code, one.Signal
		}
	})
	if res.Status == Success {
		res.Code, res.Signal = 0, ""
	}
	return res
}

// include adds the output of a nested step to that of this one.
func (c *Call) include(one Result) {
	if one.Status == Skipped {
		c.Print("step %s: Skipped: %s", one.Name, one.Stdout)
		return
	}
	if one.Stdout != "" {
		c.Print("%s", strings.TrimSuffix(one.Stdout, "\n"))
	}
	if one.Stderr != "" {
		c.out.note("step " + one.Name + ": " + strings.TrimSuffix(one.Stderr, "\n"))
	}
}

// source reads the document that the inputs name.
func (r *Runner) source(ctx context.Context, c *Call) (content []byte, name string, err error) {
	path := c.Text("documentPath")
	switch kind := c.Text("documentType"); kind {
	case "SSMDocument":
		if r.Document == nil {
			return nil, "", errors.New("documents of the hub cannot be read here")
		}
		name, version := nameVersion(path)
		content, err = r.Document(ctx, name, version)
		return content, name, err
	case "LocalPath":
		content, err = c.local(path)
		return content, path, err
	default:
		return nil, "", fmt.Errorf("documentType %q is not SSMDocument or LocalPath", kind)
	}
}

// nameVersion splits NAME:VERSION; in an ARN only what is behind the last
// slash can hold a version.
func nameVersion(path string) (name, version string) {
	slash := strings.LastIndexByte(path, '/')
	if colon := strings.LastIndexByte(path, ':'); colon > slash {
		return path[:colon], path[colon+1:]
	}
	return path, ""
}

// local reads a document file: an absolute path, or one below what the command
// has downloaded. "" is the only file there.
func (c *Call) local(path string) ([]byte, error) {
	if filepath.IsAbs(path) {
		return readDocument(os.DirFS(filepath.Dir(path)), filepath.Base(path))
	}
	root, err := os.OpenRoot(c.Downloads)
	if err != nil {
		return nil, fmt.Errorf("documentPath %q: nothing was downloaded by this command: %w", path, err)
	}
	defer root.Close()
	if path == "" || path == "." {
		if path, err = onlyFile(root.FS()); err != nil {
			return nil, err
		}
	}
	return readDocument(root.FS(), filepath.ToSlash(filepath.Clean(path)))
}

func onlyFile(dir fs.FS) (path string, err error) {
	err = fs.WalkDir(dir, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
			return err
		case path != "":
			return errors.New("documentPath is empty and more than one file was downloaded: name the document")
		}
		path = p
		return nil
	})
	if err == nil && path == "" {
		err = errors.New("documentPath is empty and nothing was downloaded")
	}
	return path, err
}

func readDocument(dir fs.FS, path string) ([]byte, error) {
	st, err := fs.Stat(dir, path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > maxDocument {
		return nil, fmt.Errorf("%s is not a file of at most %d bytes", path, maxDocument)
	}
	return fs.ReadFile(dir, path)
}

// nested makes a job of a document that the hub has not checked: form,
// parameters and their rules are checked here.
func nested(name string, content []byte, given any) (Job, error) {
	format := "YAML"
	if trimmed := strings.TrimSpace(string(content)); strings.HasPrefix(trimmed, "{") {
		format = "JSON"
	}
	doc, err := ssmdoc.Parse(content, format)
	if err != nil {
		return Job{}, err
	}
	if err := doc.Validate("Command"); err != nil {
		return Job{}, err
	}
	values, err := parametersOf(given)
	if err != nil {
		return Job{}, err
	}
	bound, err := ssmdoc.BindParameters(doc, values)
	if err != nil {
		return Job{}, err
	}
	asJSON, err := doc.Root.Encode("JSON")
	if err != nil {
		return Job{}, err
	}
	job := Job{DocumentName: name, Parameters: bound}
	if err := json.Unmarshal(asJSON, &job.Document); err != nil {
		return Job{}, err
	}
	_, err = job.steps()
	return job, err
}

// parametersOf reads documentParameters: an object, or the JSON text of one,
// whose values are strings, numbers, lists of strings or further objects.
func parametersOf(in any) (map[string][]string, error) {
	if text, ok := in.(string); ok && strings.TrimSpace(text) != "" {
		in = nil
		if err := json.Unmarshal([]byte(text), &in); err != nil {
			return nil, fmt.Errorf("documentParameters is not a JSON object: %w", err)
		}
	}
	object, ok := in.(map[string]any)
	if !ok {
		return nil, nil
	}
	out := map[string][]string{}
	for name, value := range object {
		out[name] = []string{}
		list, ok := value.([]any)
		if !ok {
			list = []any{value}
		}
		for _, e := range list {
			out[name] = append(out[name], asText(e))
		}
	}
	return out, nil
}
