package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

const (
	connections = 16
	parameters  = 200
	loadFor     = 5 * time.Second
)

// wireRequest is a signed request as bytes, so that the generator costs little.
func wireRequest(host, operation, body string) ([]byte, error) {
	r, err := http.NewRequest(http.MethodPost, "http://"+host+"/", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "AmazonSSM."+operation)
	if err := sigv4.Sign(r, []byte(body), sigv4.Credentials{AccessKeyID: adminID, SecretAccessKey: adminSecret}, "ssm", region, time.Now()); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = r.Write(&b)
	return b.Bytes(), err
}

// once sends a request and reads its answer.
func once(c net.Conn, in *bufio.Reader, request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	status, length, err := head(in)
	if err != nil {
		return err
	}
	if strings.Contains(status, " 200 ") {
		_, err = in.Discard(length)
		return err
	}
	body, err := io.ReadAll(io.LimitReader(in, int64(length)))
	return errors.Join(fmt.Errorf("%s: %s", status, body), err)
}

// head reads an answer up to its body. A generator that takes answers apart less than
// a client would leaves more of the machine to what is measured.
func head(in *bufio.Reader) (status string, length int, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return "", 0, err
	}
	status, length = string(line), -1
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return "", 0, err
		}
		if len(line) <= 2 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return "", 0, err
			}
		}
	}
	if length < 0 {
		return "", 0, fmt.Errorf("%s: no Content-Length", status)
	}
	return status, length, nil
}

// load keeps all connections busy and returns requests per second and the p99.
func load(host string, requests [][]byte) (rate float64, p99 time.Duration, err error) {
	var mu sync.Mutex
	var lat []time.Duration
	var wg sync.WaitGroup
	began := time.Now()
	for k := range connections {
		wg.Go(func() {
			mine, e := one(host, requests, k, began.Add(loadFor))
			mu.Lock()
			defer mu.Unlock()
			lat, err = append(lat, mine...), errors.Join(err, e)
		})
	}
	wg.Wait()
	took := time.Since(began)
	if err != nil || len(lat) == 0 {
		return 0, 0, err
	}
	slices.Sort(lat)
	return float64(len(lat)) / took.Seconds(), lat[len(lat)*99/100], nil
}

func one(host string, requests [][]byte, k int, until time.Time) (lat []time.Duration, err error) {
	c, err := net.Dial("tcp", host)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	for i := k; time.Now().Before(until); i++ {
		t := time.Now()
		if err := once(c, in, requests[i%len(requests)]); err != nil {
			return lat, err
		}
		lat = append(lat, time.Since(t))
	}
	return lat, nil
}

// prepare puts the parameters and signs the reads.
func prepare(host string) (reads [][]byte, err error) {
	c, err := net.Dial("tcp", host)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	for i := range parameters {
		put, err := wireRequest(host, "PutParameter", fmt.Sprintf(`{"Name":"/bench/p%d","Value":"value %d","Type":"String"}`, i, i))
		if err != nil {
			return nil, err
		}
		if err := once(c, in, put); err != nil {
			return nil, fmt.Errorf("put-parameter: %w", err)
		}
		get, err := wireRequest(host, "GetParameter", fmt.Sprintf(`{"Name":"/bench/p%d"}`, i))
		if err != nil {
			return nil, err
		}
		reads = append(reads, get)
	}
	return reads, nil
}

func benchGetParameter(ctx context.Context, dir string) ([]result, error) {
	h, err := startHub(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer h.stop()
	reads, err := prepare(h.http)
	if err != nil {
		return nil, err
	}
	before, err := h.cpu()
	if err != nil {
		return nil, err
	}
	rate, p99, err := load(h.http, reads)
	if err != nil {
		return nil, err
	}
	after, err := h.cpu()
	if err != nil {
		return nil, err
	}
	each := float64((after - before).Microseconds()) / (rate * loadFor.Seconds())
	r := result{what: fmt.Sprintf("GetParameter, %d connections, signed, authorized, journaled", connections), figure: fmt.Sprintf("%.0f/s, p99 %v, %.0f µs of the hub's processor time each", rate, p99.Round(10*time.Microsecond), each), wanted: "10,000/s, 25x moto", ok: rate >= 10000}
	peer, err := benchMoto(ctx)
	if err != nil {
		return nil, err
	}
	if peer == 0 {
		r.beside, r.ratio = "moto_server is not installed", "-"
		return []result{r}, nil
	}
	r.beside, r.ratio = fmt.Sprintf("moto_server %.0f/s", peer), ratio(rate, peer)
	r.ok = r.ok && rate >= 25*peer
	return []result{r}, nil
}

// benchMoto measures the same load on moto_server, 0 when there is none.
func benchMoto(ctx context.Context) (float64, error) {
	if _, err := exec.LookPath("moto_server"); err != nil {
		return 0, nil
	}
	host, err := freePort()
	if err != nil {
		return 0, err
	}
	_, port, _ := net.SplitHostPort(host)
	cmd := exec.CommandContext(ctx, "moto_server", "-H", "127.0.0.1", "-p", port)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	for range 200 {
		if c, err := net.Dial("tcp", host); err == nil {
			_ = c.Close()
			break
		}
		<-time.After(100 * time.Millisecond)
	}
	var reads [][]byte
	for i := range parameters {
		put, err := wireRequest(host, "PutParameter", fmt.Sprintf(`{"Name":"/bench/p%d","Value":"value %d","Type":"String"}`, i, i))
		if err != nil {
			return 0, err
		}
		if err := fresh(host, put); err != nil {
			return 0, fmt.Errorf("moto put-parameter: %w", err)
		}
		get, _ := wireRequest(host, "GetParameter", fmt.Sprintf(`{"Name":"/bench/p%d"}`, i))
		reads = append(reads, get)
	}
	return motoLoad(host, reads)
}

// fresh sends a request on a connection of its own: moto_server closes after each.
func fresh(host string, request []byte) error {
	c, err := net.Dial("tcp", host)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return once(c, bufio.NewReader(c), request)
}

func motoLoad(host string, reads [][]byte) (float64, error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	n := 0
	var failed error
	began := time.Now()
	for k := range connections {
		wg.Go(func() {
			for i := k; time.Since(began) < loadFor; i++ {
				err := fresh(host, reads[i%len(reads)])
				mu.Lock()
				failed = errors.Join(failed, err)
				n++
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return float64(n) / time.Since(began).Seconds(), failed
}
