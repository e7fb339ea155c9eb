package mgs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxDepth is the deepest nesting of a payload.
const maxDepth = 32

// Decode reads the JSON of a payload into v. Members that v does not know are
// ignored; refused are bytes that are not UTF-8, nesting above 32, names that
// occur twice (also by different case, which encoding/json takes for the same)
// and anything behind the value.
func Decode(payload []byte, v any) error {
	if len(payload) > MaxPayload {
		return fmt.Errorf("mgs: payload of %d bytes", len(payload))
	}
	if !utf8.Valid(payload) {
		return errors.New("mgs: payload is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	if err := checkValue(d, 0); err != nil {
		return fmt.Errorf("mgs: payload: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("mgs: payload: more than one value")
	}
	if err := json.Unmarshal(payload, v); err != nil {
		return fmt.Errorf("mgs: payload: %w", err)
	}
	return nil
}

func checkValue(d *json.Decoder, depth int) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth >= maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			if err := checkName(d, seen); err != nil {
				return err
			}
		}
		if err := checkValue(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

func checkName(d *json.Decoder, seen map[string]bool) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	name, _ := token.(string)
	folded := strings.ToLower(strings.ToUpper(name))
	if seen[folded] {
		return fmt.Errorf("member %q occurs twice", name)
	}
	seen[folded] = true
	return nil
}
