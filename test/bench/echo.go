package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	keys    = 200
	warming = 10 // keys that do not count
)

// benchEcho types keys into `watchbill shell`, whose session the hub records, and
// into ssh, in turn; the terminal on the other side echoes them.
func benchEcho(ctx context.Context, dir string) ([]result, error) {
	ctx, cancel := context.WithTimeout(ctx, sessionTime)
	defer cancel()
	w, stop, err := newWorld(ctx, dir)
	defer stop()
	if err != nil {
		return nil, err
	}
	own, err := openTerminal(w.own(ctx, "shell", w.node))
	if err != nil {
		return nil, err
	}
	defer own.close()
	all := []*terminal{own}
	if w.ssh != nil {
		peer, err := openTerminal(w.ssh.command(ctx, "ssh", "-tt", "127.0.0.1", "/bin/sh"))
		if err != nil {
			return nil, err
		}
		defer peer.close()
		all = append(all, peer)
	}
	took, err := echoes(ctx, all)
	if err != nil {
		return nil, err
	}
	ours := took[0][keys/2]
	r := result{
		fmt.Sprintf("a key's echo in `watchbill shell`, recorded, p50 of %d", keys),
		fmt.Sprintf("%.2f ms, p95 %.2f ms", ms(ours), ms(took[0][keys*95/100])), "OpenSSH is not here", "-", "at most 3x ssh", true,
	}
	if len(took) > 1 {
		theirs := took[1][keys/2]
		r.beside = fmt.Sprintf("ssh %.2f ms, p95 %.2f ms", ms(theirs), ms(took[1][keys*95/100]))
		r.ratio, r.ok = fmt.Sprintf("%.1fx the time", float64(ours)/float64(theirs)), ours <= 3*theirs
	}
	return []result{r}, nil
}

// echoes are the times of each terminal in order.
func echoes(ctx context.Context, all []*terminal) ([][]time.Duration, error) {
	for _, t := range all {
		if err := t.typed("echo rea''dy; exec cat >/dev/null\n"); err != nil {
			return nil, err
		}
		if err := t.expect(ctx, "ready"); err != nil {
			return nil, err
		}
	}
	took := make([][]time.Duration, len(all))
	for i := range warming + keys {
		key := string(rune('a' + i%26))
		for n, t := range all {
			d, err := t.echo(ctx, key)
			if err != nil {
				return nil, err
			}
			if i >= warming {
				took[n] = append(took[n], d)
			}
		}
	}
	for _, t := range took {
		slices.Sort(t)
	}
	return took, nil
}
