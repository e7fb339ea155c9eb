// Package contact keeps who can be called and how: contacts with their
// engagement plans, and contact channels that must be activated with a code
// before they are paged. Calling people is package engage.
//
// A contact is found by the account and region in its ARN, so that incidents,
// which have no region, can reach contacts of any region of the account.
//
// An activation code is derived from a random nonce in the channel's row and a
// key kept outside the database: the row alone does not give it away. A code
// lives 30 minutes and takes 5 wrong answers.
//
// Facts: contact.created, contact.updated, contact.deleted, channel.created,
// channel.updated, channel.deleted, channel.code_requested, channel.activated,
// channel.deactivated, channel.code_refused, contact.policy_put, contact.tagged,
// contact.untagged. Tasks: contact.code sends a code.
package contact
