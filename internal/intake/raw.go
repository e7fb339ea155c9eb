package intake

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/capability/alarm"
	"github.com/watchbill/watchbill/internal/lang/text"
)

// maxRaw is how many characters TriggerDetails.rawData has at most.
const maxRaw = 10_000

// raw is what an incident keeps of the signal that started it.
type raw struct {
	Integration string            `json:"integration"`
	Source      string            `json:"source"`
	Key         string            `json:"key"`
	State       alarm.State       `json:"state"`
	Summary     string            `json:"summary"`
	Description string            `json:"description,omitzero"`
	StartsAt    time.Time         `json:"startsAt,omitzero"`
	URL         string            `json:"url,omitzero"`
	Labels      map[string]string `json:"labels,omitzero"`
	Annotations map[string]string `json:"annotations,omitzero"`
	Cut         bool              `json:"cut,omitzero"` // parts were left out for their size
}

// rawData is the signal as JSON, cut until it fits.
func rawData(integration string, sig alarm.Signal) string {
	r := raw{
		Integration: integration, Source: sig.Source, Key: sig.Key, State: sig.State, Summary: sig.Summary, Description: sig.Description,
		StartsAt: sig.StartsAt, URL: sig.URL, Labels: sig.Labels, Annotations: sig.Annotations,
	}
	for _, longest := range []int{maxRaw, 1000, 200, 40, 0} {
		if text := r.cut(longest); utf8.RuneCountInString(text) <= maxRaw {
			return text
		}
	}
	return r.cut(0)
}

// cut writes it with texts of at most n characters and no more than n labels;
// maxRaw leaves it as it is.
func (r raw) cut(n int) string {
	if n < maxRaw {
		r.Cut = true
		r.Key, r.Summary, r.URL = text.Clip(r.Key, 200), text.Clip(r.Summary, 200), text.Clip(r.URL, 500)
		r.Description, r.Labels, r.Annotations = text.Clip(r.Description, n), cutAll(r.Labels, n), cutAll(r.Annotations, n)
	}
	text, err := json.Marshal(r)
	if err != nil { // it holds texts and times only
		return "{}"
	}
	return string(text)
}

func cutAll(m map[string]string, n int) map[string]string {
	out := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if len(out) == n {
			break
		}
		out[text.Clip(k, n)] = text.Clip(m[k], n)
	}
	return out
}
