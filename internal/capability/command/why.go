package command

import (
	"fmt"
	"time"
)

// reason is why an event moved an invocation, for people; "" when the state
// says all.
func reason(c *command, e event) string {
	switch e {
	case deliveryOver:
		return fmt.Sprintf("the node did not take the job by %s, the delivery timeout", c.Expires.Format(time.RFC3339))
	case executionOver:
		return fmt.Sprintf("the node took the job and told no end by %s, the delivery and execution timeout together", c.Ends.Format(time.RFC3339))
	case cancelUnsent:
		return "cancelled before it was sent"
	case cancelSent:
		return "asked to stop"
	case errorsExceeded:
		return fmt.Sprintf("not sent: the command had more than %d errors", c.MaxErrors)
	case nodeGone:
		return "the node was deregistered"
	case nodeTimedOut:
		return "a step ran into its time-out"
	}
	return ""
}
