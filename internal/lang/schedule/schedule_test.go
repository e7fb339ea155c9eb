package schedule

import (
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // zones on machines without them

	"pgregory.net/rapid"
)

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                     "must be cron",
		"cron(0 0 * * ? *":                     "must be cron",
		"Cron(0 0 * * ? *)":                    "must be cron",
		"every(1 day)":                         "must be cron",
		"cron(0 0 * *)":                        "there are 4",
		"cron(0 0 0 0 * * ? *)":                "there are 8",
		"cron(60 0 * * ? *)":                   `Minutes: "60" is not a value from 0 to 59`,
		"cron(0 24 * * ? *)":                   "Hours",
		"cron(0 0 0 * ? *)":                    "Day-of-month",
		"cron(0 0 32 * ? *)":                   "Day-of-month",
		"cron(0 0 32W * ? *)":                  "Day-of-month",
		"cron(0 0 * 13 ? *)":                   "Month",
		"cron(0 0 * JAM ? *)":                  "Month",
		"cron(0 0 * ANF ? *)":                  "Month",
		"cron(0 0 ? * 0 *)":                    "Day-of-week",
		"cron(0 0 ? * 8 *)":                    "Day-of-week",
		"cron(0 0 ? * 2#6 *)":                  "1 to 5",
		"cron(0 0 ? * MON-TUE#1 *)":            "Day-of-week",
		"cron(0 0 ? * 2,3L *)":                 "Day-of-week",
		"cron(0 0 * * * *)":                    "only one, must be ?",
		"cron(0 0 ? * ? *)":                    "only one, must be ?",
		"cron(? 0 * * ? *)":                    "Minutes",
		"cron(0 0 * * ? 1969)":                 "Year",
		"cron(0 0 * * ? 2200)":                 "Year",
		"cron(0 0 * * ? 2030-2020)":            "ends before",
		"cron(*/0 0 * * ? *)":                  "step",
		"cron(*/60 0 * * ? *)":                 "step",
		"cron(1,,2 0 * * ? *)":                 "Minutes",
		"cron(1- 0 * * ? *)":                   "Minutes",
		"cron(+1 0 * * ? *)":                   "Minutes",
		"rate(0 days)":                         "positive number",
		"rate(-1 days)":                        "positive number",
		"rate(1 days)":                         "singular",
		"rate(2 day)":                          "singular",
		"rate(2 weeks)":                        "unit",
		"rate(5)":                              "positive number",
		"at(2026-11-22)":                       "at takes",
		"at(2026-11-22T10:00:00Z)":             "at takes",
		"at(" + strings.Repeat("x", 300) + ")": "longer",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

const form = "2006-01-02T15:04:05Z07:00"

func TestNext(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, zone, after, want string }{
		{"rate(30 minutes)", "", "2026-11-22T16:00:00Z", "2026-11-22T16:30:00Z"},
		{"rate(1 day)", "", "2026-11-22T16:00:00Z", "2026-11-23T16:00:00Z"},
		{"at(2026-11-22T16:00:01)", "Europe/Berlin", "2026-11-22T16:00:00Z", "2026-11-22T16:00:01Z"},
		{"at(2026-11-22T16:00:00)", "", "2026-11-22T16:00:00Z", ""},
		{"cron(0 16 * * ? *)", "", "2026-11-22T16:00:00Z", "2026-11-23T16:00:00Z"},
		{"cron(0 16 * * ? *)", "", "2026-11-22T15:59:59Z", "2026-11-22T16:00:00Z"},
		{"cron(0/15 8-17 ? * MON-FRI *)", "", "2026-11-20T17:45:00Z", "2026-11-23T08:00:00Z"},
		{"cron(30 23 ? * TUE#3 *)", "", "2026-11-01T00:00:00Z", "2026-11-17T23:30:00Z"},
		{"cron(30 23 ? * 3#3 *)", "", "2026-11-18T00:00:00Z", "2026-12-15T23:30:00Z"},
		{"cron(0 0 ? * FRI#5 *)", "", "2026-11-01T00:00:00Z", "2027-01-29T00:00:00Z"},
		{"cron(0 2 L * ? *)", "", "2026-02-01T00:00:00Z", "2026-02-28T02:00:00Z"},
		{"cron(0 2 L 2 ? *)", "", "2027-03-01T00:00:00Z", "2028-02-29T02:00:00Z"},
		{"cron(0 2 LW * ? *)", "", "2026-05-01T00:00:00Z", "2026-05-29T02:00:00Z"},
		{"cron(0 2 1W * ? *)", "", "2026-07-20T00:00:00Z", "2026-08-03T02:00:00Z"},
		{"cron(0 2 15W * ? *)", "", "2026-11-01T00:00:00Z", "2026-11-16T02:00:00Z"},
		{"cron(0 2 31W * ? *)", "", "2026-11-01T00:00:00Z", "2026-12-31T02:00:00Z"},
		{"cron(0 2 ? * FRIL *)", "", "2026-11-01T00:00:00Z", "2026-11-27T02:00:00Z"},
		{"cron(0 2 ? * 6L *)", "", "2026-11-28T00:00:00Z", "2026-12-25T02:00:00Z"},
		{"cron(0 2 ? * L *)", "", "2026-11-22T00:00:00Z", "2026-11-28T02:00:00Z"},
		{"cron(0 2 ? * SAT-SUN *)", "", "2026-11-23T00:00:00Z", "2026-11-28T02:00:00Z"},
		{"cron(0 0 29 2 ? *)", "", "2026-11-22T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"cron(0 0 30 2 ? *)", "", "2026-11-22T00:00:00Z", ""},
		{"cron(0 0 1 1 ? 2025)", "", "2026-11-22T00:00:00Z", ""},
		{"cron(0 0 1 1 ? 2199)", "", "2026-11-22T00:00:00Z", "2199-01-01T00:00:00Z"},
		{"cron(5 0 12 * * ? *)", "", "2026-11-22T00:00:00Z", "2026-11-22T12:00:05Z"},
		{"cron(0 12 * * ?)", "", "2026-11-22T00:00:00Z", "2026-11-22T12:00:00Z"},
		{"cron(0 9 ? * WED *)", "America/Los_Angeles", "2021-01-01T08:00:00Z", "2021-01-06T17:00:00Z"},
		{"cron(0 0 * * ? *)", "Asia/Kolkata", "2026-11-22T00:00:00Z", "2026-11-22T18:30:00Z"},
		// Berlin, 2026-03-29: 02:00 becomes 03:00, at 01:00 UTC.
		{"cron(30 2 * * ? *)", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
		{"cron(30 2 * * ? *)", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"},
		{"cron(0/30 * * * ? *)", "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"},
		{"cron(0/30 * * * ? *)", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"},
		// Berlin, 2026-10-25: 03:00 becomes 02:00, at 01:00 UTC.
		{"cron(30 2 * * ? *)", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
		{"cron(30 2 * * ? *)", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		{"cron(0/30 * * * ? *)", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"},
		{"cron(0/30 * * * ? *)", "Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"},
		{"cron(0 4 * * ? *)", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z"},
		// Lord Howe moves by half an hour; Beirut changed at midnight.
		{"cron(15 2 * * ? *)", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", "2026-10-03T15:30:00Z"},
		{"cron(0 0 * * ? *)", "Asia/Beirut", "2022-03-26T12:00:00Z", "2022-03-26T22:00:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.text+" "+tt.zone+" "+tt.after, func(t *testing.T) {
			t.Parallel()
			s, err := Parse(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			after, _ := time.Parse(form, tt.after)
			got, ok := s.Next(after, zone(t, tt.zone))
			if (tt.want != "") != ok || (ok && got.Format(form) != tt.want) {
				t.Errorf("%s %v, want %s", got.Format(form), ok, tt.want)
			}
		})
	}
}

func TestNextOffset(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text, after, since string
		days               int
		want               string
	}{
		{"cron(30 23 ? * TUE#3 *)", "2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z", 2, "2026-11-19T23:30:00Z"},
		// The third Tuesday is over when the schedule begins: it waits for the next.
		{"cron(30 23 ? * TUE#3 *)", "2026-11-18T00:00:00Z", "2026-11-18T00:00:00Z", 2, "2026-12-17T23:30:00Z"},
		// It began before: the offset time of this month still comes.
		{"cron(30 23 ? * TUE#3 *)", "2026-11-18T00:00:00Z", "2026-11-01T00:00:00Z", 2, "2026-11-19T23:30:00Z"},
		{"cron(30 23 ? * TUE#3 *)", "2026-11-19T23:30:00Z", "2026-11-01T00:00:00Z", 2, "2026-12-17T23:30:00Z"},
		{"cron(30 23 ? * TUE#3 *)", "2026-11-18T00:00:00Z", "2026-11-01T00:00:00Z", 0, "2026-12-15T23:30:00Z"},
		{"rate(1 day)", "2026-11-18T00:00:00Z", "2026-11-01T00:00:00Z", 2, "2026-11-19T00:00:00Z"},
		{"cron(0 0 1 1 ? 2020)", "2026-11-18T00:00:00Z", "2026-11-01T00:00:00Z", 2, ""},
	}
	for _, tt := range tests {
		s, err := Parse(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		after, _ := time.Parse(form, tt.after)
		since, _ := time.Parse(form, tt.since)
		got, ok := s.NextOffset(after, since, nil, tt.days)
		if (tt.want != "") != ok || (ok && got.Format(form) != tt.want) {
			t.Errorf("%s after %s since %s: %s %v, want %s", tt.text, tt.after, tt.since, got.Format(form), ok, tt.want)
		}
	}
}

// choice is a field's text with what it means, told apart from the parser.
type choice struct {
	text  string
	holds func(v int) bool
}

func drawField(t *rapid.T, name string, from, to int) choice {
	n := rapid.IntRange(from, to)
	a, b := n.Draw(t, name), n.Draw(t, name)
	if a > b {
		a, b = b, a
	}
	step := rapid.IntRange(1, min(9, to)).Draw(t, name+" step")
	return rapid.SampledFrom([]choice{
		{"*", func(int) bool { return true }},
		{fmt.Sprint(a), func(v int) bool { return v == a }},
		{fmt.Sprintf("%d,%d", b, a), func(v int) bool { return v == a || v == b }},
		{fmt.Sprintf("%d-%d", a, b), func(v int) bool { return v >= a && v <= b }},
		{fmt.Sprintf("%d-%d", b, a), func(v int) bool { return (a == b && v == a) || (a != b && (v >= b || v <= a)) }},
		{fmt.Sprintf("%d/%d", a, step), func(v int) bool { return v >= a && (v-a)%step == 0 }},
		{fmt.Sprintf("*/%d", step), func(v int) bool { return (v-from)%step == 0 }},
		{fmt.Sprintf("%d-%d/%d", a, b, step), func(v int) bool { return v >= a && v <= b && (v-a)%step == 0 }},
	}).Draw(t, name)
}

// drawDay is the two day fields with what they mean for a date.
func drawDay(t *rapid.T) (dom, dow string, holds func(time.Time) bool) {
	last := func(d time.Time) int { return time.Date(d.Year(), d.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day() }
	n := rapid.IntRange(1, 31).Draw(t, "day")
	w := rapid.IntRange(1, 7).Draw(t, "weekday")
	k := rapid.IntRange(1, 5).Draw(t, "nth")
	is := func(d time.Time) bool { return int(d.Weekday()) == w-1 }
	weekdays := drawField(t, "weekdays", 1, 7)
	daysField := drawField(t, "days", 1, 31)
	switch rapid.IntRange(0, 6).Draw(t, "kind of day") {
	case 0:
		return "L", "?", func(d time.Time) bool { return d.Day() == last(d) }
	case 1:
		return fmt.Sprintf("%dW", n), "?", func(d time.Time) bool { return n <= last(d) && d.Day() == nearest(d, n, last(d)) }
	case 2:
		return "?", fmt.Sprintf("%dL", w), func(d time.Time) bool { return is(d) && d.AddDate(0, 0, 7).Month() != d.Month() }
	case 3:
		return "?", fmt.Sprintf("%d#%d", w, k), func(d time.Time) bool {
			return is(d) && d.AddDate(0, 0, -7*(k-1)).Month() == d.Month() && d.AddDate(0, 0, -7*k).Month() != d.Month()
		}
	case 4:
		return "?", weekdays.text, func(d time.Time) bool { return weekdays.holds(int(d.Weekday()) + 1) }
	}
	return daysField.text, "?", func(d time.Time) bool { return daysField.holds(d.Day()) }
}

// nearest looks for the nearest working day of the month, one day further at a time.
func nearest(d time.Time, n, last int) int {
	for _, delta := range []int{0, -1, 1, -2, 2} {
		day := n + delta
		at := time.Date(d.Year(), d.Month(), day, 0, 0, 0, 0, time.UTC)
		if day >= 1 && day <= last && at.Weekday() != time.Saturday && at.Weekday() != time.Sunday {
			return day
		}
	}
	return 0
}

// Next agrees with trying minute after minute in UTC.
func TestAgreesWithBruteForce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		minute, hour, month := drawField(t, "minute", 0, 59), drawField(t, "hour", 0, 23), drawField(t, "month", 1, 12)
		dom, dow, day := drawDay(t)
		s, err := Parse(fmt.Sprintf("cron(%s %s %s %s %s *)", minute.text, hour.text, dom, month.text, dow))
		if err != nil {
			t.Fatal(err)
		}
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 5_000_000).Draw(t, "from")) * time.Minute)
		got, ok := s.Next(from, time.UTC)
		want := from.Add(time.Minute)
		for end := from.AddDate(2, 0, 0); want.Before(end); {
			switch {
			case !month.holds(int(want.Month())) || !day(want):
				want = time.Date(want.Year(), want.Month(), want.Day()+1, 0, 0, 0, 0, time.UTC)
				continue
			case !hour.holds(want.Hour()):
				want = want.Truncate(time.Hour).Add(time.Hour)
				continue
			case !minute.holds(want.Minute()):
				want = want.Add(time.Minute)
				continue
			}
			if !ok || !got.Equal(want) {
				t.Fatalf("%s after %s: %s %v, want %s", s, from, got, ok, want)
			}
			return
		}
		if ok && got.Before(want) {
			t.Fatalf("%s after %s: %s, want none in two years", s, from, got)
		}
	})
}

// In every zone times only go forward, fixed ones come once a day and none is lost.
func TestZones(t *testing.T) {
	t.Parallel()
	zones := []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "Africa/Casablanca", "Pacific/Apia", "America/Havana"}
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		h, m := rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute")
		s, err := Parse(fmt.Sprintf("cron(%d %d * * ? *)", m, h))
		if err != nil {
			t.Fatal(err)
		}
		at := time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 5*365*24).Draw(t, "from")) * time.Hour)
		for range 400 {
			next, ok := s.Next(at, loc)
			if !ok || !next.After(at) {
				t.Fatalf("%s in %s after %s: %s", s, loc, at, next)
			}
			gap := next.Sub(at)
			if y, mo, d := at.In(loc).Date(); gap > 25*time.Hour && time.Date(y, mo, d+2, 0, 0, 0, 0, loc).Before(next) {
				t.Fatalf("%s in %s: nothing between %s and %s", s, loc, at, next)
			}
			if a, b := at.In(loc), next.In(loc); a.YearDay() == b.YearDay() && a.Year() == b.Year() && a.Hour() == h && a.Minute() == m {
				t.Fatalf("%s in %s: twice a day, %s and %s", s, loc, a, b)
			}
			at = next
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"cron(0/5 8-17 ? * MON-FRI 2020-2030/2)", "cron(0 2 LW JAN,7 ? *)", "cron(1 0 0 ? * 3#2 *)", "rate(5 minutes)", "at(2026-01-01T00:00:00)"} {
		f.Add(text)
	}
	after := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		if next, ok := s.Next(after, time.UTC); ok && !next.After(after) {
			t.Fatalf("%q: %s", text, next)
		}
	})
}
