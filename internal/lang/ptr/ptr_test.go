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
