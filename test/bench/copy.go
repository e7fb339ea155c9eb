package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

const (
	copyBytes  = 100_000_000
	copyRounds = 3
)

// benchCopy copies a file with `watchbill cp` and with scp, in turn, from the start
// of the program to its end.
func benchCopy(ctx context.Context, dir string) ([]result, error) {
	ctx, cancel := context.WithTimeout(ctx, sessionTime)
	defer cancel()
	w, stop, err := newWorld(ctx, dir)
	defer stop()
	if err != nil {
		return nil, err
	}
	here, there := w.place("file"), w.place("there")
	data := make([]byte, copyBytes)
	_, _ = rand.Read(data)
	if err := errors.Join(os.WriteFile(here, data, 0o644), os.Mkdir(there, 0o777), w.give(there)); err != nil {
		return nil, err
	}
	back := w.place("back")
	from, err := w.compareCopies(ctx, "from the node", w.node+":"+here, "127.0.0.1:"+here, back)
	if err != nil {
		return nil, err
	}
	to, err := w.compareCopies(ctx, "to the node", here, here, there+"/file")
	return []result{from, to}, err
}

// compareCopies copies to a place that is of this machine (a file from the node), or
// of the node when the source is not.
func (w *world) compareCopies(ctx context.Context, way, from, sshFrom, to string) (result, error) {
	ownTo, sshTo := to, to
	if from == sshFrom {
		ownTo, sshTo = w.node+":"+to, "127.0.0.1:"+to
	}
	var ours, theirs time.Duration // the best
	for range copyRounds {
		d, err := copied(w.own(ctx, "cp", "-q", from, ownTo), to)
		if err != nil {
			return result{}, err
		}
		ours = best(ours, d)
		if w.ssh == nil {
			continue
		}
		if d, err = copied(w.ssh.command(ctx, "scp", "-q", sshFrom, sshTo), to); err != nil {
			return result{}, err
		}
		theirs = best(theirs, d)
	}
	r := result{
		fmt.Sprintf("`watchbill cp` of %d MB %s, with sums, best of %d", copyBytes/1_000_000, way, copyRounds),
		ours.Round(time.Millisecond).String(), "OpenSSH is not here", "-", "within 1.5x of scp", true,
	}
	if w.ssh != nil {
		x := float64(ours) / float64(theirs)
		r.beside, r.ratio, r.ok = "scp "+theirs.Round(time.Millisecond).String(), fmt.Sprintf("%.2fx the time", x), x <= 1.5
	}
	return r, nil
}

// copied runs a program that makes a file of copyBytes, which is then removed.
func copied(c *exec.Cmd, file string) (time.Duration, error) {
	began := time.Now()
	out, err := c.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %s", c.Path, err, out)
	}
	i, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	if i.Size() != copyBytes {
		return 0, fmt.Errorf("%s made a file of %d bytes", c.Path, i.Size())
	}
	return took, os.Remove(file)
}

// best is the smaller one, of which the first may be none.
func best(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}
