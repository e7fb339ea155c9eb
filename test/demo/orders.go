package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"sync"
)

// pool is the number of connections that the orders service has to its store.
const pool = 8

// serveOrders is the demo service. Its fault is real: each order that is cancelled
// half-way keeps its connection, and once all are taken no request can be served
// until a restart.
func serveOrders(args []string) {
	f := flag.NewFlagSet("orders", flag.ExitOnError)
	listen := f.String("listen", "127.0.0.1:8080", "address")
	dir := f.String("dir", ".", "directory")
	_ = f.Parse(args)
	var mu sync.Mutex
	leaked := 0
	http.HandleFunc("POST /orders/cancel", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		leaked = min(leaked+1, pool)
		log.Printf("order cancelled, %d of %d connections in use", leaked, pool)
		if leaked == pool {
			_ = os.WriteFile(filepath.Join(*dir, "wedged"), nil, 0o644)
			log.Print("ERROR no connection left: timeout waiting for the pool")
		}
		w.WriteHeader(http.StatusNoContent)
	})
	http.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if leaked == pool {
			http.Error(w, fmt.Sprintf("unhealthy: %d of %d connections in use", leaked, pool), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintf(w, "ok: %d of %d connections in use", leaked, pool)
	})
	log.Printf("orders service %d listens on %s", os.Getpid(), *listen)
	log.Fatal(http.ListenAndServe(*listen, nil))
}
