package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// caseFile is one case as it is written.
type caseFile struct {
	Name    string
	Options []string
	Steps   []rawStep
}

// rawStep is a step before its variables are replaced.
type rawStep map[string]any

// step is a step that is to be done. The members of its kind are set.
type step struct {
	Call      string
	Request   any
	TimeoutMs int    `json:"timeout_ms"`
	RequestID string `json:"request_id"`
	Metadata  map[string]string
	ClientID  string `json:"client_id"`
	Cancel    bool
	Meanwhile []rawStep
	Poll      bool
	Expect    expectation
	Save      map[string]string

	Parallel []rawStep
	Times    int
	Codes    map[string]int

	Subscribe     any
	Count         int
	EventsAddress *bool `json:"events_address"`
	After         []rawStep

	Server any
	Rows   any
}

type expectation struct {
	Code            string
	MessageContains string `json:"message_contains"`
	Violations      []string
	Details         any
	Response        any
	Present, Absent []string
	First           *int64
	Sequences       []int64
	Events          any
}

// decode reads JSON and refuses members that it does not know.
func decode(data []byte, to any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return decoder.Decode(to)
}

// kinds are the members of which a step has exactly one.
var kinds = []string{"call", "parallel", "subscribe", "server"}

// resolve returns the kind of a step, and the step with its variables replaced but
// for those of the steps inside it, whose turn comes later.
func (raw rawStep) resolve(variables map[string]any) (string, *step, error) {
	resolved := map[string]any{}
	kind := ""
	for member, value := range raw {
		for _, name := range kinds {
			if member == name {
				kind += name
			}
		}
		if member != "meanwhile" && member != "after" && member != "parallel" {
			value = replace(value, variables)
		}
		resolved[member] = value
	}
	data, err := json.Marshal(resolved)
	if err != nil {
		return "", nil, err
	}
	var s step
	if err := decode(data, &s); err != nil {
		return "", nil, fmt.Errorf("the step %s cannot be read: %w", data, err)
	}
	return kind, &s, nil
}

func replace(value any, variables map[string]any) any {
	switch v := value.(type) {
	case map[string]any:
		replaced := map[string]any{}
		for key, member := range v {
			replaced[key] = replace(member, variables)
		}
		return replaced
	case []any:
		replaced := make([]any, len(v))
		for i, element := range v {
			replaced[i] = replace(element, variables)
		}
		return replaced
	case string:
		return replaceText(v, variables)
	}
	return value
}

func replaceText(text string, variables map[string]any) any {
	for name, value := range variables {
		if text == "${"+name+"}" {
			return value
		}
		if saved, ok := value.(string); ok {
			text = strings.ReplaceAll(text, "${"+name+"}", saved)
		}
	}
	return text
}
