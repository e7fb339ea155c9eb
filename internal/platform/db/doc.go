// Package db opens the store and runs transactions on it: SQLite in one file, or
// PostgreSQL shared by several hubs, from one SQL text.
//
// Update runs a closure in a durable transaction and View in a read-only one. On
// SQLite every Update goes through one writer, which commits many of them with
// one sync to disk; each has a savepoint of its own, so a failing one leaves the
// others alone. On PostgreSQL each Update is a transaction of its own and is
// retried when the server says it may be.
//
// Closures may run more than once: they do no input or output besides the
// transaction's, and start no other transaction.
package db
