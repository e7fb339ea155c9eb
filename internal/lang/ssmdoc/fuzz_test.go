package ssmdoc

import "testing"

// FuzzParse holds that no content makes the package panic, and that what it
// accepts can be validated as every type, walked, expanded and converted.
func FuzzParse(f *testing.F) {
	for _, s := range []string{both, fullRunbook, "a: &x [*x]", "{{{", "[1, {\"a\": null}]", "schemaVersion: '1.0'\nsessionType: Port\n", "BEGIN:VCALENDAR\n"} {
		f.Add(s)
	}
	kinds := []string{"Command", "Automation", "Automation.ChangeTemplate", "Session", "ChangeCalendar", "Package", "Policy", "Other"}
	f.Fuzz(func(t *testing.T, content string) {
		for _, format := range []string{JSON, YAML, TEXT} {
			d, err := Parse([]byte(content), format)
			if err != nil {
				continue
			}
			for _, kind := range kinds {
				_ = d.Validate(kind)
			}
			_, _ = BindParameters(d, nil)
			v := d.Root.Any()
			if _, err := Expand(v, func(string) (any, bool, error) { return []any{"{{ x }}"}, true, nil }); err != nil {
				t.Skip(err)
			}
			if format == TEXT {
				continue
			}
			if text, err := d.Root.Encode(JSON); err == nil && len(text) <= MaxContent {
				if _, err := Parse(text, JSON); err != nil {
					t.Errorf("%v in %s", err, text)
				}
			}
		}
	})
}

// FuzzSelect holds that no selector makes Select panic.
func FuzzSelect(f *testing.F) {
	for _, s := range []string{"$.a.b", "$..a", "$[*]", "$[?(@.a > 1)]", "$.a[0:2]", "$['a','b']", "$.a[-1]"} {
		f.Add(s)
	}
	v := map[string]any{"a": []any{map[string]any{"b": int64(1)}, "x", nil}}
	f.Fuzz(func(_ *testing.T, path string) {
		_, _ = Select(v, path)
	})
}
