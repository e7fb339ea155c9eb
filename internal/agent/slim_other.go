//go:build !linux

package agent

import "runtime/debug"

// slim gives memory back once the node is idle.
func slim() { debug.FreeOSMemory() }
