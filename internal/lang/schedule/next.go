package schedule

import "time"

const allHours = 1<<24 - 1

// Next is the first time strictly after the given one, in UTC; false when there
// is none. A cron expression is read in loc, nil is UTC. A rate goes on from
// after, which is the time of its last run.
func (s *Schedule) Next(after time.Time, loc *time.Location) (time.Time, bool) {
	switch s.kind {
	case Rate:
		return after.UTC().Add(s.every), true
	case At:
		return s.at, s.at.After(after)
	}
	if loc == nil {
		loc = time.UTC
	}
	return s.cron.next(after, loc)
}

// NextOffset is Next for a schedule with an offset of days: the first time after
// the given one that lies the days behind a time of the expression which itself
// falls after since, when the schedule began. The wall clock stays the same.
//
// An offset does not bring back a time of the expression that was already over
// when the schedule began.
func (s *Schedule) NextOffset(after, since time.Time, loc *time.Location, days int) (time.Time, bool) {
	if days == 0 || s.kind != Cron {
		return s.Next(later(after, since), loc)
	}
	if loc == nil {
		loc = time.UTC
	}
	base := later(since, after.AddDate(0, 0, -days-1))
	for {
		t, ok := s.Next(base, loc)
		if !ok {
			return time.Time{}, false
		}
		w := t.In(loc)
		shifted := wall(date{w.Year(), w.Month(), w.Day() + days}, w.Hour(), w.Minute(), w.Second(), loc)
		if shifted.After(after) {
			return shifted.UTC(), true
		}
		base = t
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

type date struct {
	year  int
	month time.Month
	day   int
}

// next looks through days of the calendar in loc.
func (c *cron) next(after time.Time, loc *time.Location) (time.Time, bool) {
	w := after.In(loc)
	first := w.Day()
	for year := max(w.Year(), firstYear); year <= lastYear; year++ {
		if !c.years[year-firstYear] {
			first = 1
			continue
		}
		month := time.January
		if year == w.Year() {
			month = w.Month()
		}
		for ; month <= time.December; month++ {
			if year != w.Year() || month != w.Month() {
				first = 1
			}
			if c.month&(1<<month) == 0 {
				continue
			}
			if t, ok := c.inMonth(year, month, first, after, loc); ok {
				return t.UTC(), true
			}
		}
	}
	return time.Time{}, false
}

func (c *cron) inMonth(year int, month time.Month, first int, after time.Time, loc *time.Location) (time.Time, bool) {
	set := c.daysOf(year, month)
	for day := first; day <= 31; day++ {
		if set&(1<<day) == 0 {
			continue
		}
		if t, ok := c.inDay(date{year, month, day}, after, loc); ok {
			return t, true
		}
	}
	return time.Time{}, false
}

// daysOf is the days of a month that match.
func (c *cron) daysOf(year int, month time.Month) uint64 {
	last := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
	all := uint64(1)<<(last+1) - 2
	if !c.byWeekday {
		switch {
		case c.workday > 0:
			return workday(year, month, c.workday, last, c.lastDay)
		case c.lastDay:
			return 1 << last
		}
		return c.day & all
	}
	var set uint64
	weekday := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC).Weekday()
	for day := 1; day <= last; day++ {
		nth := c.nth == 0 || c.nth == (day+6)/7
		if c.weekday&(1<<weekday) != 0 && nth && (!c.lastWeekday || day+7 > last) {
			set |= 1 << day
		}
		weekday = (weekday + 1) % 7
	}
	return set
}

// workday is the day from Monday to Friday nearest to day, in the same month. A
// month without that day has none, unless the last day is meant.
func workday(year int, month time.Month, day, last int, ofLast bool) uint64 {
	if ofLast {
		day = last
	}
	if day > last {
		return 0
	}
	switch time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Weekday() {
	case time.Saturday:
		if day--; day == 0 {
			day = 3
		}
	case time.Sunday:
		if day++; day > last {
			day = last - 2
		}
	}
	return 1 << day
}

// inDay is the first time of a matching day that is after the given one.
func (c *cron) inDay(d date, after time.Time, loc *time.Location) (time.Time, bool) {
	start := time.Date(d.year, d.month, d.day, 0, 0, 0, 0, loc)
	end := time.Date(d.year, d.month, d.day+1, 0, 0, 0, 0, loc)
	if !end.After(after) {
		return time.Time{}, false
	}
	_, before := start.Zone()
	_, behind := end.Zone()
	if before == behind && end.Sub(start) == 24*time.Hour {
		return c.inPlainDay(start, after)
	}
	return c.inOddDay(d, after, loc)
}

// inPlainDay is for days without a change of the clock.
func (c *cron) inPlainDay(start, from time.Time) (time.Time, bool) {
	at := max(0, int(from.Sub(start)/time.Second)+1)
	if from.Before(start) {
		at = 0
	}
	hour, minute, second := at/3600, at/60%60, at%60
	for h := after(c.hour, hour); h >= 0 && h < 24; h = after(c.hour, h+1) {
		if h > hour {
			minute, second = 0, 0
		}
		for m := after(c.minute, minute); m >= 0; m = after(c.minute, m+1) {
			if h > hour || m > minute {
				second = 0
			}
			if s := after(c.second, second); s >= 0 {
				return start.Add(time.Duration(h*3600+m*60+s) * time.Second), true
			}
		}
	}
	return time.Time{}, false
}

// inOddDay tries every time of a day on which the clock changes.
func (c *cron) inOddDay(d date, from time.Time, loc *time.Location) (best time.Time, ok bool) {
	consider := func(t time.Time) {
		if t.After(from) && (!ok || t.Before(best)) {
			best, ok = t, true
		}
	}
	for h := after(c.hour, 0); h >= 0; h = after(c.hour, h+1) {
		for m := after(c.minute, 0); m >= 0; m = after(c.minute, m+1) {
			for s := after(c.second, 0); s >= 0; s = after(c.second, s+1) {
				first := wall(d, h, m, s, loc)
				consider(first)
				if c.hour == allHours {
					consider(second(first, loc))
				}
			}
		}
	}
	return best, ok
}

// wall is the first instant at which the clock in loc shows the time, or that at
// which it jumps over it.
func wall(d date, h, m, s int, loc *time.Location) time.Time {
	t := time.Date(d.year, d.month, d.day, h, m, s, 0, loc)
	want := time.Date(d.year, d.month, d.day, h, m, s, 0, time.UTC)
	start, end := t.ZoneBounds()
	if shown(t) != want.Unix() { // the clock never shows it
		if shown(t) > want.Unix() {
			return start
		}
		return end
	}
	if start.IsZero() {
		return t
	}
	_, now := t.Zone()
	_, before := start.Add(-time.Second).Zone()
	if earlier := t.Add(time.Duration(now-before) * time.Second); earlier.Before(start) && shown(earlier) == want.Unix() {
		return earlier
	}
	return t
}

// shown is what the clock shows at t, as seconds of a calendar without zones.
func shown(t time.Time) int64 {
	_, offset := t.Zone()
	return t.Unix() + int64(offset)
}

// second is the other instant at which the clock shows the same as at first, or
// first itself.
func second(first time.Time, loc *time.Location) time.Time {
	_, end := first.ZoneBounds()
	if end.IsZero() {
		return first
	}
	_, now := first.Zone()
	_, behind := end.In(loc).Zone()
	other := first.Add(time.Duration(now-behind) * time.Second)
	if !other.Before(end) && shown(other.In(loc)) == shown(first) {
		return other
	}
	return first
}
