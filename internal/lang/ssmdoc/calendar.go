package ssmdoc

import (
	"fmt"
	"strings"
)

// checkCalendar looks over the iCalendar text of a change calendar: one
// VCALENDAR of version 2.0 with X-CALENDAR-TYPE, blocks closed in order, every
// event with a start. Times and rules are read by the calendar's own parser.
func (d *Document) checkCalendar() error {
	if d.Root != nil {
		return &Error{Message: "a ChangeCalendar document must be TEXT, an iCalendar"}
	}
	c := calendarCheck{}
	for i, line := range strings.Split(strings.TrimRight(d.Text, "\r\n"), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") || line == "" {
			continue // the rest of a folded line
		}
		if err := c.line(i+1, line); err != nil {
			return err
		}
	}
	return c.end()
}

type calendarCheck struct {
	open    []string
	opened  []int
	done    bool
	version bool
	kind    bool
	started bool // the event that is open has DTSTART
}

func (c *calendarCheck) line(at int, line string) error {
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return &Error{Line: at, Message: "is not an iCalendar line, NAME:VALUE"}
	}
	name, _, _ = strings.Cut(strings.ToUpper(name), ";")
	switch {
	case name == "BEGIN":
		return c.begin(at, strings.ToUpper(value))
	case len(c.open) == 0:
		return &Error{Line: at, Message: "an iCalendar starts with BEGIN:VCALENDAR and ends with END:VCALENDAR"}
	case name == "END":
		return c.close(at, strings.ToUpper(value))
	case name == "DTSTART" && c.open[len(c.open)-1] == "VEVENT":
		c.started = true
	case name == "VERSION" && len(c.open) == 1:
		if value != "2.0" {
			return &Error{Line: at, Message: fmt.Sprintf("iCalendar version %q is not 2.0", value)}
		}
		c.version = true
	case name == "X-CALENDAR-TYPE" && len(c.open) == 1:
		if value != "DEFAULT_OPEN" && value != "DEFAULT_CLOSED" {
			return &Error{Line: at, Message: fmt.Sprintf("X-CALENDAR-TYPE %q is not DEFAULT_OPEN or DEFAULT_CLOSED", value)}
		}
		c.kind = true
	}
	return nil
}

func (c *calendarCheck) begin(at int, block string) error {
	if (len(c.open) == 0) != (block == "VCALENDAR") || c.done {
		return &Error{Line: at, Message: "an iCalendar starts with BEGIN:VCALENDAR and holds one calendar"}
	}
	if len(c.open) >= maxDepth {
		return errDepth(at)
	}
	c.open, c.opened = append(c.open, block), append(c.opened, at)
	if block == "VEVENT" {
		c.started = false
	}
	return nil
}

func (c *calendarCheck) close(at int, block string) error {
	last := len(c.open) - 1
	if c.open[last] != block {
		return &Error{Line: at, Message: fmt.Sprintf("END:%s does not close BEGIN:%s of line %d", block, c.open[last], c.opened[last])}
	}
	if block == "VEVENT" && !c.started {
		return &Error{Line: c.opened[last], Message: "the event has no DTSTART"}
	}
	c.open, c.opened = c.open[:last], c.opened[:last]
	c.done = last == 0
	return nil
}

func (c *calendarCheck) end() error {
	switch {
	case len(c.open) > 0:
		return &Error{Line: c.opened[len(c.opened)-1], Message: "BEGIN:" + c.open[len(c.open)-1] + " is not closed"}
	case !c.done:
		return &Error{Line: 1, Message: "an iCalendar starts with BEGIN:VCALENDAR and ends with END:VCALENDAR"}
	case !c.version:
		return &Error{Line: 1, Message: "VERSION:2.0 is missing"}
	case !c.kind:
		return &Error{Line: 1, Message: "X-CALENDAR-TYPE is missing, DEFAULT_OPEN or DEFAULT_CLOSED"}
	}
	return nil
}
