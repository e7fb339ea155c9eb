// Package exec runs a command line on nodes through the hub and shows what came
// of it: on all at once as one command, or in waves as a rollout.
//
// The arguments are quoted one by one into one line of a shell script, so that
// the node's shell sees exactly them. Identical outputs are shown once. The exit
// code is the worst of the nodes'; a node that has none counts as 255.
package exec
