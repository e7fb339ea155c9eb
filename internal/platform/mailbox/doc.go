// Package mailbox holds the messages that wait for a node. A message is put in
// the transaction of the change that wants it sent, stays until the node has
// acknowledged it or its deadline is past, and survives any crash of the hub.
//
// States: queued, sent, acknowledged. A message is marked sent, durably, before
// its bytes leave: one that is still queued was never sent, which is what makes
// it safe to withdraw. A sent message without an acknowledgement is sent again,
// under the same id, for as long as the reader of the mailbox allows; the id is
// what the node recognizes a second copy by. An acknowledged message is never
// sent again and its payload is forgotten.
//
// Readers are woken by the commit of a Put, on this hub and on the others;
// polling is only the net below that.
package mailbox
