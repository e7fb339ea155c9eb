// Package netns is a story in network namespaces of its own making: a hub, three
// nodes and a person's machine, each alone behind a link that can be cut.
package netns
