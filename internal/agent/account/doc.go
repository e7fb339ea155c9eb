// Package account is the operating system user of a session at the node: who it
// is, what its programs start with, and how files are opened with its
// permissions.
//
// A node program that is root's runs a session as root only where the session's
// document says that its command is elevated; one of an ordinary user has only
// itself. Watchbill creates no users.
package account
