// Package cp is `watchbill cp`: files and directories to and from a node. What was
// interrupted goes on where it stopped; a file gets its name when all of it is
// there and both ends have the same SHA-256.
package cp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/watchbill/watchbill/internal/cli/plane"
	"github.com/watchbill/watchbill/internal/wire/client"
)

// Options of the command.
type Options struct {
	From, To  string // one of them NODE:PATH
	Recursive bool
	Document  string
	Reason    string
	Err       io.Writer // warnings
	Out       io.Writer // a line for each file; may be nil
}

// document allows to copy files.
const document = "Watchbill-FileTransfer"

// workers is how many files are copied at the same time.
const workers = 4

// copier is a copy under way.
type copier struct {
	Options
	session *plane.Session

	mu     sync.Mutex
	failed error
}

// Split takes NODE:PATH apart; a path of this machine has no node.
func Split(s string) (node, path string) {
	node, path, ok := strings.Cut(s, ":")
	if !ok || strings.ContainsAny(node, `/\`) || len(node) < 2 {
		return "", s
	}
	return node, path
}

// Run copies.
func Run(ctx context.Context, c *client.Client, o Options) error {
	fromNode, from := Split(o.From)
	toNode, to := Split(o.To)
	if (fromNode == "") == (toNode == "") {
		return errors.New("one side of the copy must be NODE:PATH, and only one")
	}
	if o.Document == "" {
		o.Document = document
	}
	s, err := plane.Open(ctx, c, plane.Request{Target: fromNode + toNode, Document: o.Document, Reason: o.Reason, Notice: plane.Tell(o.Err)})
	if err != nil {
		return err
	}
	defer s.Close()
	x := &copier{Options: o, session: s}
	if fromNode != "" {
		return x.fetch(ctx, from, to)
	}
	return x.deliver(ctx, from, to)
}

// fail keeps the first error and tells the others.
func (x *copier) fail(name string, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, _ = fmt.Fprintf(x.Err, "watchbill: %s: %v\n", name, err)
	if x.failed == nil {
		x.failed = errors.New("not everything was copied")
	}
}

func (x *copier) done(name, sum string, size int64) {
	if x.Out == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	_, _ = fmt.Fprintf(x.Out, "%s  %s (%d bytes)\n", sum, name, size)
}

// each runs f for the items, a few at a time, and collects what fails.
func each[T any](ctx context.Context, x *copier, items []T, name func(T) string, f func(T) error) {
	next := make(chan T)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for item := range next {
				if err := f(item); err != nil {
					x.fail(name(item), err)
				}
			}
		})
	}
	for _, item := range items {
		select {
		case next <- item:
			continue
		case <-ctx.Done():
		case <-x.session.Done():
		}
		break
	}
	close(next)
	all.Wait()
	if ctx.Err() != nil {
		x.fail("copy", ctx.Err())
	}
}

// local is a name below a directory of this machine, or an error for one that
// would lie outside.
func local(name string) (string, error) {
	name = filepath.FromSlash(name)
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("the node sent the name %q, which lies outside of the copy", name)
	}
	return name, nil
}

// base is the last part of a path of the node.
func base(p string) (string, error) {
	b := path.Base(filepath.ToSlash(p))
	if b == "." || b == ".." || b == "/" {
		return "", fmt.Errorf("%s has no name to copy to", p)
	}
	return b, nil
}
