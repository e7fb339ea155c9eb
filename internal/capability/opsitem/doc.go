// Package opsitem keeps OpsItems: operational issues to be worked on, one open
// item for one deduplication string.
//
// An item that is Open or InProgress holds its deduplication key in a unique
// column, so of two creations at once exactly one makes an item; the other
// learns its id.
//
// Facts: opsitem.created, opsitem.repeated, opsitem.updated, opsitem.resolved,
// opsitem.deleted, opsitem.related, opsitem.unrelated.
package opsitem
