package ssmdoc

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

var iso8601 = regexp.MustCompile(`^P(?:([0-9]{1,6})W)?(?:([0-9]{1,6})D)?(?:T(?:([0-9]{1,6})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,7})S)?)?$`)

// Duration reads an ISO 8601 duration of weeks, days, hours, minutes and
// seconds, as in aws:sleep ("PT10M", "P1DT2H").
func Duration(text string) (time.Duration, error) {
	m := iso8601.FindStringSubmatch(text)
	if m == nil || text == "P" || text[len(text)-1] == 'T' {
		return 0, fmt.Errorf("%q is not an ISO 8601 duration such as PT10M", text)
	}
	units := []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second}
	var total time.Duration
	for i, unit := range units {
		if m[i+1] == "" {
			continue
		}
		n, err := strconv.Atoi(m[i+1])
		if err != nil {
			return 0, err
		}
		total += time.Duration(n) * unit
	}
	return total, nil
}
