package shell

import "os"

// watchSize has no signal to wait for on this system.
func watchSize(chan<- os.Signal) {}
