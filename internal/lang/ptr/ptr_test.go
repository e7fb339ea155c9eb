package ptr_test

import (
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/lang/ptr"
)

func TestValue(t *testing.T) {
	if ptr.Value[string](nil) != "" || ptr.Value(new("a")) != "a" {
		t.Error("wrong value")
	}
}

func TestOrNil(t *testing.T) {
	if ptr.OrNil("") != nil || ptr.OrNil(time.Time{}.UTC()) != nil || *ptr.OrNil("a") != "a" {
		t.Error("wrong pointer")
	}
}

func TestMoment(t *testing.T) {
	now := time.Now()
	if got := ptr.Moment(now); got == nil || *got != now {
		t.Error(got)
	}
	if got := ptr.Moment(time.Time{}.In(time.FixedZone("X", 3600))); got != nil {
		t.Error(got)
	}
}
