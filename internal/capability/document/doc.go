// Package document keeps Systems Manager documents: their versions, the rules
// they must follow, with whom they are shared, their reviews, and the documents
// of AWS that users rely on by name, with content of our own.
//
// It leaves running them to the capabilities that do (command, automation,
// session), which get a document with Resolve. A version's content never
// changes once it is stored, so what was parsed is kept by hash.
package document
