package conformance

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

var timestamp = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?Z$`)

// compare says where the actual JSON value is not as expected; nil: nowhere.
func compare(path string, expected, actual any) error {
	switch want := expected.(type) {
	case map[string]any:
		return compareObject(path, want, actual)
	case []any:
		return compareList(path, want, actual)
	case float64:
		if got, ok := actual.(float64); ok && math.Abs(want-got) <= 1e-9*math.Max(1, math.Abs(want)) {
			return nil
		}
	case string:
		if got, ok := actual.(string); ok && microseconds(want) == microseconds(got) {
			return nil
		}
	default:
		if expected == actual {
			return nil
		}
	}
	return fmt.Errorf("%s is %v, not %v", path, actual, expected)
}

func compareObject(path string, want map[string]any, actual any) error {
	got, ok := actual.(map[string]any)
	if !ok {
		return fmt.Errorf("%s is %v, not an object", path, actual)
	}
	for key, value := range want {
		if _, ok := got[key]; !ok && !isEmptyList(value) {
			return fmt.Errorf("%s.%s is absent", path, key)
		}
		if err := compare(path+"."+key, value, got[key]); err != nil {
			return err
		}
	}
	return nil
}

func isEmptyList(value any) bool {
	list, ok := value.([]any)
	return ok && len(list) == 0
}

func compareList(path string, want []any, actual any) error {
	got, ok := actual.([]any)
	if !ok && (actual != nil || len(want) > 0) {
		return fmt.Errorf("%s is %v, not a list", path, actual)
	}
	if len(got) != len(want) {
		return fmt.Errorf("%s has %d elements, not %d: %v", path, len(got), len(want), got)
	}
	for i := range want {
		if err := compare(fmt.Sprintf("%s.%d", path, i), want[i], got[i]); err != nil {
			return err
		}
	}
	return nil
}

// microseconds returns a timestamp with six digits, and any other text as it is.
func microseconds(text string) string {
	parts := timestamp.FindStringSubmatch(text)
	if parts == nil {
		return text
	}
	return parts[1] + "." + (strings.TrimPrefix(parts[2], ".") + "000000")[:6]
}

// at returns the value at a path of names and indices.
func at(value any, path string) (any, bool) {
	for _, name := range strings.Split(path, ".") {
		switch in := value.(type) {
		case map[string]any:
			found, ok := in[name]
			if !ok {
				return nil, false
			}
			value = found
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(in) {
				return nil, false
			}
			value = in[i]
		default:
			return nil, false
		}
	}
	return value, true
}
