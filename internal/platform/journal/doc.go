// Package journal keeps what happened: facts, written in the transaction of the
// change they tell of, append-only.
//
// One dispatcher gives committed facts their position, right after the commit, and
// adds each to a Merkle tree whose head is signed at least each minute and each
// 1,000 facts. The newest signed head is kept outside the database too, so that a
// database that was put back to an older state, or edited, is noticed at the next
// start and by Verify.
//
// Whoever must hear of a fact subscribes by name. A subscription holds a durable
// cursor; its handler runs in a transaction that moves the cursor with it, so each
// fact takes effect once. A fact that a handler refuses again and again is put
// aside, with its error, and counted: it must not hold up those behind it.
package journal
