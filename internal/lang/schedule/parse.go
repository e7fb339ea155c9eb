package schedule

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

const (
	maxText   = 256
	firstYear = 1970
	lastYear  = 2199
)

// Kind is the form of an expression.
type Kind string

// The forms.
const (
	Cron Kind = "cron"
	Rate Kind = "rate"
	At   Kind = "at"
)

// Schedule is a compiled expression.
type Schedule struct {
	kind  Kind
	text  string
	cron  cron
	every time.Duration
	at    time.Time
}

// Kind is the form of the expression.
func (s *Schedule) Kind() Kind { return s.kind }

// String is the expression as given.
func (s *Schedule) String() string { return s.text }

// Every is the span of a rate, 0 for the other forms.
func (s *Schedule) Every() time.Duration { return s.every }

// Parse reads an expression. Errors name the field and the reason.
func Parse(text string) (*Schedule, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("schedule: longer than %d characters", maxText)
	}
	name, rest, ok := strings.Cut(text, "(")
	body, closed := strings.CutSuffix(rest, ")")
	if !ok || !closed {
		return nil, fmt.Errorf("schedule %q: must be cron(...), rate(...) or at(...)", text)
	}
	s := &Schedule{kind: Kind(name), text: text}
	var err error
	switch s.kind {
	case Cron:
		s.cron, err = parseCron(body)
	case Rate:
		s.every, err = parseRate(body)
	case At:
		if s.at, err = time.Parse("2006-01-02T15:04:05", body); err != nil {
			err = fmt.Errorf("at takes a UTC time in the form YYYY-MM-DDThh:mm:ss")
		}
	default:
		err = fmt.Errorf("must be cron(...), rate(...) or at(...)")
	}
	if err != nil {
		return nil, fmt.Errorf("schedule %q: %w", text, err)
	}
	return s, nil
}

var units = map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}

// parseRate reads a value and a unit, which is singular for 1 only.
func parseRate(body string) (time.Duration, error) {
	value, unit, ok := strings.Cut(body, " ")
	n, err := strconv.Atoi(value)
	if !ok || err != nil || n < 1 || n > 1_000_000 || value[0] == '+' {
		return 0, fmt.Errorf("rate takes a positive number and a unit")
	}
	one, plural := strings.CutSuffix(unit, "s")
	span := units[one]
	switch {
	case span == 0:
		return 0, fmt.Errorf("the unit of a rate is minutes, hours or days, not %q", unit)
	case plural != (n != 1):
		return 0, fmt.Errorf("the unit of a rate is singular for 1 and plural for more")
	}
	return time.Duration(n) * span, nil
}

// cron is a compiled cron expression: bit i of a set stands for the value i.
type cron struct {
	second, minute, hour uint64
	day, month           uint64
	weekday              uint64 // 0 is Sunday
	years                [lastYear - firstYear + 1]bool
	byWeekday            bool
	lastDay              bool // L in day-of-month
	workday              int  // nW, or 31 with lastDay for LW
	nth                  int  // weekday#nth
	lastWeekday          bool // weekdayL
}

// field is the name, the range and the words of one field.
type field struct {
	name     string
	min, max int
	words    string // three letters each, from min
}

var (
	seconds  = field{"Seconds", 0, 59, ""}
	minutes  = field{"Minutes", 0, 59, ""}
	hours    = field{"Hours", 0, 23, ""}
	days     = field{"Day-of-month", 1, 31, ""}
	months   = field{"Month", 1, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"}
	weekdays = field{"Day-of-week", 1, 7, "SUNMONTUEWEDTHUFRISAT"}
	years    = field{"Year", firstYear, lastYear, ""}
)

func parseCron(body string) (c cron, err error) {
	parts := strings.Fields(body)
	switch len(parts) {
	case 5:
		parts = append([]string{"0"}, append(parts, "*")...)
	case 6:
		parts = append([]string{"0"}, parts...)
	case 7:
	default:
		return c, fmt.Errorf("cron takes six fields: Minutes Hours Day-of-month Month Day-of-week Year; there are %d", len(parts))
	}
	for i, to := range map[int]*uint64{0: &c.second, 1: &c.minute, 2: &c.hour, 4: &c.month} {
		f := []field{seconds, minutes, hours, days, months}[i]
		if *to, err = f.set(parts[i]); err != nil {
			return c, err
		}
	}
	if (parts[3] == "?") == (parts[5] == "?") {
		return c, fmt.Errorf("one of Day-of-month and Day-of-week, and only one, must be ?")
	}
	if c.byWeekday = parts[3] == "?"; c.byWeekday {
		err = c.parseWeekday(parts[5])
	} else {
		err = c.parseDay(parts[3])
	}
	if err != nil {
		return c, err
	}
	return c, c.parseYears(parts[6])
}

func (c *cron) parseDay(text string) (err error) {
	switch {
	case text == "L":
		c.lastDay = true
	case text == "LW":
		c.lastDay, c.workday = true, 31
	case strings.HasSuffix(text, "W"):
		c.workday, err = days.value(strings.TrimSuffix(text, "W"))
	default:
		c.day, err = days.set(text)
	}
	return err
}

func (c *cron) parseWeekday(text string) error {
	if text == "L" { // the last day of the week
		c.weekday = 1 << 6
		return nil
	}
	if day, nth, ok := strings.Cut(text, "#"); ok {
		n, err := strconv.Atoi(nth)
		if err != nil || n < 1 || n > 5 || len(nth) != 1 {
			return fmt.Errorf("%s: %q: the number after # is 1 to 5", weekdays.name, text)
		}
		c.nth = n
		text = day
	} else if day, ok := strings.CutSuffix(text, "L"); ok {
		c.lastWeekday = true
		text = day
	} else {
		set, err := weekdays.set(text)
		c.weekday = set >> 1
		return err
	}
	day, err := weekdays.value(text)
	c.weekday = 1 << day >> 1
	return err
}

func (c *cron) parseYears(text string) error {
	return years.each(text, func(y int) { c.years[y-firstYear] = true })
}

func (f field) set(text string) (set uint64, err error) {
	err = f.each(text, func(v int) { set |= 1 << v })
	return set, err
}

// each calls yield for every value of a list of ranges.
func (f field) each(text string, yield func(int)) error {
	for part := range strings.SplitSeq(text, ",") {
		if err := f.eachIn(part, yield); err != nil {
			return err
		}
	}
	return nil
}

// eachIn reads *, a, a-b and each of them with /step. A range that ends before
// it begins goes round, as FRI-MON does; years do not.
func (f field) eachIn(part string, yield func(int)) error {
	span, stepText, stepped := strings.Cut(part, "/")
	from, to, step := f.min, f.max, 1
	var err error
	if stepped {
		if step, err = strconv.Atoi(stepText); err != nil || step < 1 || step > f.max || stepText[0] == '+' {
			return fmt.Errorf("%s: %q: the step after / is 1 to %d", f.name, part, f.max)
		}
	}
	if span != "*" {
		first, last, ranged := strings.Cut(span, "-")
		if from, err = f.value(first); err != nil {
			return err
		}
		switch {
		case ranged:
			if to, err = f.value(last); err != nil {
				return err
			}
		case !stepped:
			to = from
		}
	}
	if to < from {
		if f.min == firstYear {
			return fmt.Errorf("%s: %q: ends before it begins", f.name, part)
		}
		to += f.max - f.min + 1
	}
	for v := from; v <= to; v += step {
		yield(f.min + (v-f.min)%(f.max-f.min+1))
	}
	return nil
}

func (f field) value(text string) (int, error) {
	if len(text) == 3 {
		if i := strings.Index(f.words, strings.ToUpper(text)); i >= 0 && i%3 == 0 {
			return f.min + i/3, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.min || n > f.max || text[0] == '+' || text[0] == '-' {
		return 0, fmt.Errorf("%s: %q is not a value from %d to %d", f.name, text, f.min, f.max)
	}
	return n, nil
}

// after is the lowest value of a set that is at least v, -1 when there is none.
func after(set uint64, v int) int {
	set &= ^uint64(0) << v
	if set == 0 {
		return -1
	}
	return bits.TrailingZeros64(set)
}
