// Package lock keeps locks: nobody may use a user, a role, an access key, a node
// or a document that is locked, whatever policies say.
//
// Locks are rows, and a copy in memory that every decision of package authz asks.
// The copy is read anew when a lock is made or taken away, here and on the other
// hubs, and each second besides. What goes on already is ended by those who carry
// it: they subscribe to the fact Created. A lock with an end is taken away by a
// task, and counts no more from that moment on.
//
// Locks of users, roles and access keys hold in all regions of the account and
// are kept under the region "".
//
// Facts: lock.created, lock.deleted, lock.expired (subject: the lock's id).
// Tasks: lock.expire, by lock id.
package lock
