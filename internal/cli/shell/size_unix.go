//go:build unix

package shell

import (
	"os"
	"os/signal"
	"syscall"
)

func watchSize(c chan<- os.Signal) { signal.Notify(c, syscall.SIGWINCH) }
