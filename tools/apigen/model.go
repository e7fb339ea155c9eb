package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

type apiModel struct {
	Metadata struct {
		APIVersion     string `json:"apiVersion"`
		EndpointPrefix string `json:"endpointPrefix"`
		JSONVersion    string `json:"jsonVersion"`
		Protocol       string `json:"protocol"`
		SigningName    string `json:"signingName"`
		TargetPrefix   string `json:"targetPrefix"`
		XMLNamespace   string `json:"xmlNamespace"`
	} `json:"metadata"`
	Operations map[string]*operation  `json:"operations"`
	Shapes     map[string]*modelShape `json:"shapes"`
	Pagination map[string]pagination  `json:"pagination"`
	Source     struct {
		Botocore string `json:"botocore"`
	} `json:"source"`
}

type operation struct {
	Name string `json:"name"`
	HTTP struct {
		Method       string `json:"method"`
		RequestURI   string `json:"requestUri"`
		ResponseCode int    `json:"responseCode"`
	} `json:"http"`
	Input  *shapeRef  `json:"input"`
	Output *shapeRef  `json:"output"`
	Errors []shapeRef `json:"errors"`
}

type shapeRef struct {
	Shape            string `json:"shape"`
	ResultWrapper    string `json:"resultWrapper"`
	Location         string `json:"location"`
	LocationName     string `json:"locationName"`
	IdempotencyToken bool   `json:"idempotencyToken"`
}

type modelShape struct {
	Type      string      `json:"type"`
	Members   orderedRefs `json:"members"`
	Required  []string    `json:"required"`
	Member    *shapeRef   `json:"member"`
	Key       *shapeRef   `json:"key"`
	Value     *shapeRef   `json:"value"`
	Min       *float64    `json:"min"`
	Max       *float64    `json:"max"`
	Pattern   string      `json:"pattern"`
	Enum      []string    `json:"enum"`
	Sensitive bool        `json:"sensitive"`
	Union     bool        `json:"union"`
	Exception bool        `json:"exception"`
	Fault     bool        `json:"fault"`
	Error     *struct {
		Code           string `json:"code"`
		HTTPStatusCode int    `json:"httpStatusCode"`
	} `json:"error"`
}

// orderedRefs keeps the members of a structure in the model's order.
type orderedRefs struct {
	names []string
	refs  map[string]*shapeRef
}

func (o *orderedRefs) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &o.refs); err != nil {
		return err
	}
	for n := range o.refs {
		o.names = append(o.names, n)
	}
	slices.Sort(o.names)
	return nil
}

type pagination struct {
	InputToken  any `json:"input_token"`
	OutputToken any `json:"output_token"`
	LimitKey    any `json:"limit_key"`
	ResultKey   any `json:"result_key"`
}

func text(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case []any:
		if len(x) > 0 {
			return text(x[0])
		}
	}
	return ""
}

func load(path string) (*apiModel, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := new(apiModel)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// export turns a model name into a Go name.
func export(s string) string {
	s = strings.NewReplacer("-", "_", ".", "_", ":", "_", " ", "_", "/", "_").Replace(s)
	parts := strings.Split(s, "_")
	for i, p := range parts {
		if p != "" {
			parts[i] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "")
}
