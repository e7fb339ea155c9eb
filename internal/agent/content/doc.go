// Package content is the plug-in aws:downloadContent: it fetches files for a
// command from the hub (documents, objects), from web servers and from Git
// repositories over HTTP, and puts them below a directory. Nothing is written
// outside of that directory, archives are not unpacked, links are not made,
// and size and time are bounded. Connections to addresses that speak for this
// machine itself, or for the machine it runs on, are refused.
package content
