package content

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/client"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// gitHub saves a file or a directory of a repository on GitHub: sourceInfo has
// owner, repository, path, and may have getOptions and tokenInfo.
func (f *fetch) gitHub(ctx context.Context) error {
	owner, err := f.info.need("owner")
	if err != nil {
		return err
	}
	name, err := f.info.need("repository")
	if err != nil {
		return err
	}
	address := url.URL{Scheme: "https", Host: "github.com", Path: "/" + owner + "/" + strings.TrimSuffix(name, ".git") + ".git"}
	var auth transport.AuthMethod
	if token := f.info["tokenInfo"]; token != "" {
		auth = &githttp.BasicAuth{Username: "x-access-token", Password: token}
	}
	return f.clone(ctx, &address, auth)
}

// git saves a file or a directory of a repository that a web server has:
// sourceInfo has repository, and may have path, getOptions, username and
// password.
func (f *fetch) git(ctx context.Context) error {
	text, err := f.info.need("repository")
	if err != nil {
		return err
	}
	if f.info["privateSSHKey"] != "" || strings.HasPrefix(text, "ssh:") || !strings.Contains(text, "://") {
		return errors.New("repositories are fetched over https, not over ssh")
	}
	u, err := f.address(text)
	if err != nil {
		return err
	}
	var auth transport.AuthMethod
	if f.info["username"] != "" || f.info["password"] != "" {
		auth = &githttp.BasicAuth{Username: f.info["username"], Password: f.info["password"]}
	}
	return f.clone(ctx, u, auth)
}

func (f *fetch) clone(ctx context.Context, u *url.URL, auth transport.AuthMethod) error {
	over := githttp.NewClient(f.client())
	client.InstallProtocol("https", over) // go-git has one client for all
	client.InstallProtocol("http", over)
	dir := filepath.Join(f.call.Dir, "git")
	defer os.RemoveAll(dir)
	options := &git.CloneOptions{URL: u.String(), Auth: auth, Depth: 1, SingleBranch: true, NoCheckout: true, Tags: git.NoTags}
	kind, value, err := f.revision()
	if err != nil {
		return err
	}
	switch kind {
	case "branch":
		options.ReferenceName = plumbing.NewBranchReferenceName(value)
	case "commitID":
		options.Depth, options.SingleBranch = 0, false
	}
	repository, err := git.PlainCloneContext(ctx, dir, true, options)
	if err != nil {
		return fmt.Errorf("%s: %w", u.Host, plain(err))
	}
	revision := plumbing.Revision("HEAD")
	if kind == "commitID" {
		revision = plumbing.Revision(value)
	}
	hash, err := repository.ResolveRevision(revision)
	if err != nil {
		return fmt.Errorf("%s: %w", value, err)
	}
	commit, err := repository.CommitObject(*hash)
	if err != nil {
		return err
	}
	f.call.Print("commit %s", commit.Hash)
	return f.checkout(commit)
}

// revision reads getOptions, branch:NAME or commitID:SHA.
func (f *fetch) revision() (kind, value string, err error) {
	text := strings.TrimSpace(f.info["getOptions"])
	if text == "" {
		return "", "", nil
	}
	kind, value, _ = strings.Cut(text, ":")
	value = strings.TrimSpace(value)
	if kind != "branch" && kind != "commitID" || value == "" {
		return "", "", errors.New("getOptions is not branch:NAME or commitID:SHA")
	}
	return kind, value, nil
}

// checkout writes the file or directory that sourceInfo's path names.
func (f *fetch) checkout(commit *object.Commit) error {
	tree, err := commit.Tree()
	if err != nil {
		return err
	}
	at := strings.Trim(path.Clean("/"+f.info["path"]), "/")
	if at != "" {
		if file, err := tree.File(at); err == nil {
			if err := f.open(true); err != nil {
				return err
			}
			defer f.to.close()
			return f.blob(path.Base(at), file)
		}
		if tree, err = tree.Tree(at); err != nil {
			return fmt.Errorf("path %s: %w", at, err)
		}
	}
	if err := f.open(false); err != nil {
		return err
	}
	defer f.to.close()
	return tree.Files().ForEach(func(file *object.File) error { return f.blob(file.Name, file) })
}

// blob writes one file of a repository; links are left out.
func (f *fetch) blob(name string, file *object.File) error {
	mode := os.FileMode(0o644)
	switch file.Mode {
	case filemode.Executable:
		mode = 0o755
	case filemode.Regular, filemode.Deprecated:
	default:
		f.call.Print("%s is left out: it is a link", name)
		return nil
	}
	r, err := file.Reader()
	if err != nil {
		return err
	}
	defer r.Close()
	return f.put(name, mode, r)
}
