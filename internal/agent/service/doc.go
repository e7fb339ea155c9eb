// Package service puts the node program under systemd: a unit that keeps it
// running, gives it the control group below itself and leaves alone what
// commands have started when the program restarts.
package service
