package intake

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/watchbill/watchbill/internal/capability/alarm"
	"github.com/watchbill/watchbill/internal/intake/alertmanager"
	"github.com/watchbill/watchbill/internal/intake/cloudwatch"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// Path is what the paths of this package begin with.
const Path = "/intake/"

// MaxBody is how many bytes a delivery has at most.
const MaxBody = 1 << 20

// retryAfter is, in seconds, when a sender should come again after a 503.
const retryAfter = "5"

// errKey is the answer to every key that does not open, and to none.
var errKey = fault.New(http.StatusUnauthorized, "UnknownKey", "There is no such integration, or the key is not its.")

// ServeHTTP serves POST /intake/KIND/KEY, and POST /intake/KIND with the key as a
// bearer token. The path holds a secret: it is not to be logged.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out, err := s.deliver(w, r)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.stats.answered(http.StatusOK)
	_ = json.NewEncoder(w).Encode(out)
}

func (s *Service) refuse(w http.ResponseWriter, r *http.Request, err error) {
	coded, ok := errors.AsType[fault.Coded](err)
	if !ok || coded.HTTPStatus() >= 500 {
		s.Log.ErrorContext(r.Context(), "a delivery was not taken", "error", err)
		coded = fault.Unavailable("The hub cannot store the delivery now; send it again.")
		w.Header().Set("Retry-After", retryAfter)
	}
	s.stats.answered(coded.HTTPStatus())
	w.WriteHeader(coded.HTTPStatus())
	_ = json.NewEncoder(w).Encode(map[string]string{"error": coded.ErrorCode(), "message": coded.ErrorMessage()})
}

func (s *Service) deliver(w http.ResponseWriter, r *http.Request) (any, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, fault.New(http.StatusMethodNotAllowed, "MethodNotAllowed", "Deliveries are posted.")
	}
	i := s.integration(r)
	if i == nil {
		return nil, errKey
	}
	body, err := s.body(w, r)
	if err != nil {
		return nil, err
	}
	if i.kind == alertmanager.Kind {
		return s.alertmanager(r.Context(), i, body)
	}
	return s.cloudwatch(r.Context(), i, body)
}

// integration is the sender of a request, nil for an unknown one.
func (s *Service) integration(r *http.Request) *integration {
	kind, key, found := strings.Cut(strings.TrimPrefix(r.URL.Path, Path), "/")
	if !found {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return nil
		}
		key = strings.TrimSpace(token)
	}
	return s.Config().find(kind, key)
}

// body reads a body within the limit; it is never unpacked.
func (s *Service) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, fault.New(http.StatusUnsupportedMediaType, "UnsupportedEncoding", "Send the body as it is, not compressed.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, fault.New(http.StatusRequestEntityTooLarge, "TooLarge", "A delivery has at most %d bytes; send fewer alarms at once.", MaxBody)
	}
	if err != nil {
		return nil, fault.New(http.StatusBadRequest, "BadDelivery", "The body could not be read to its end.")
	}
	return body, nil
}

// bad refuses a delivery that cannot be understood, and says so in the log: such
// an alarm reaches nobody.
func (s *Service) bad(ctx context.Context, i *integration, err error) error {
	s.Log.WarnContext(ctx, "a delivery was refused: it cannot be understood", "integration", i.name, "error", err)
	return fault.New(http.StatusBadRequest, "BadDelivery", "%s", err)
}

func (s *Service) alertmanager(ctx context.Context, i *integration, body []byte) (any, error) {
	d, err := alertmanager.Parse(body)
	if err != nil {
		return nil, s.bad(ctx, i, err)
	}
	if d.Cut > 0 {
		s.Log.WarnContext(ctx, "the sender left alerts out; its max_alerts should be 0", "integration", i.name, "alerts", d.Cut)
	}
	return s.accept(ctx, i, d.Signals)
}

func (s *Service) cloudwatch(ctx context.Context, i *integration, body []byte) (any, error) {
	d, err := cloudwatch.Parse(body)
	if err != nil {
		return nil, s.bad(ctx, i, err)
	}
	if d.Subscription != nil {
		return s.subscription(ctx, i, d.Subscription)
	}
	return s.accept(ctx, i, []alarm.Signal{*d.Signal})
}
