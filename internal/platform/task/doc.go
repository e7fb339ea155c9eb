// Package task is the durable engine: work that must happen, at a time or at once,
// whatever happens to the process in between.
//
// A task is a row, written in the transaction of whoever wants the work done. An
// engine claims due rows, runs their handlers and takes the row away, in a
// transaction of its own or inside the handler's by Run.Done. Waiting costs a row,
// never a goroutine.
//
// Handlers run at least once. A claim is a lease that the engine renews while the
// handler runs; a task whose owner died is claimed again, and the fence of owner
// and attempt keeps the first owner, should it come back, from finishing it.
// Failures are retried with growing pauses and kept as history; a task that has
// used up its attempts stays as a dead row until a human decides.
package task
