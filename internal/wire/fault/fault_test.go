package fault

import (
	"errors"
	"fmt"
	"testing"
)

func TestOfHidesUncodedErrors(t *testing.T) {
	secret := errors.New("password=hunter2")
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"coded", Validation("bad %s", "x"), "ValidationException: bad x"},
		{"wrapped", fmt.Errorf("op: %w", UnrecognizedClient()), "UnrecognizedClientException: The security token included in the request is invalid."},
		{"plain", secret, "InternalServerError: An internal error occurred."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Of(tt.err).Error(); got != tt.want {
				t.Errorf("Of(%v) = %q, want %q", tt.err, got, tt.want)
			}
		})
	}
	if Of(nil) != nil {
		t.Error("Of(nil) is not nil")
	}
	if !errors.Is(Of(secret), secret) {
		t.Error("the cause is lost")
	}
}
