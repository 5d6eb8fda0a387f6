package layout

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// mapping gives the values of a mapping by field.
func (w *walker) mapping(n *yaml.Node, required []string, optional ...string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		w.fail(n.Line, "not a list of fields: write \"field: value\", one a line")
		return nil
	}
	known := slices.Concat(required, optional)
	fields := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || !slices.Contains(known, key.Value):
			w.fail(key.Line, "unknown field %.64q: remove it, the fields here are %s", key.Value, strings.Join(known, ", "))
		case fields[key.Value] != nil:
			w.fail(key.Line, "%s is written twice: keep one", key.Value)
		}
		fields[key.Value] = value
	}
	for _, field := range required {
		if fields[field] == nil {
			w.fail(n.Line, "%s is missing: add the field", field)
		}
	}
	return fields
}

// scalar gives the value of a field that may have one of the tags; ok is false
// where it is not written or was refused.
func (w *walker) scalar(f map[string]*yaml.Node, field string, tags ...string) (n *yaml.Node, ok bool) {
	n = f[field]
	switch {
	case n == nil || w.err != nil:
		return nil, false
	case n.Kind != yaml.ScalarNode:
		w.fail(n.Line, "%s is not a single value: write one, in quotes if it contains a colon and a space", field)
	case n.Tag == "!!null" || n.Value == "":
		w.fail(n.Line, "%s is empty: write a value or remove the line", field)
	case !slices.Contains(tags, n.Tag):
		w.fail(n.Line, "%s: %.64q has the wrong type: %w", field, n.Value, errType(tags))
	}
	return n, w.err == nil
}

func errType(tags []string) error {
	if slices.Contains(tags, "!!str") {
		return errors.New("put it in quotes if it is meant")
	}
	return errors.New("write a plain decimal integer, without quotes")
}

func (w *walker) integer(f map[string]*yaml.Node, field string, fallback int) int {
	n, ok := w.scalar(f, field, "!!int")
	if !ok {
		return fallback
	}
	value, err := strconv.Atoi(n.Value)
	if err != nil || !integerPattern.MatchString(n.Value) {
		w.fail(n.Line, "%s: %.64q is not a plain decimal integer below 10^9: write digits only", field, n.Value)
	}
	return value
}

func (w *walker) words(f map[string]*yaml.Node, field, fallback string, check func(string) error) string {
	n, ok := w.scalar(f, field, "!!str")
	if !ok {
		return fallback
	}
	if err := check(n.Value); err != nil {
		w.fail(n.Line, "%s %w", field, err)
	}
	return n.Value
}

// quantity reads a number with a unit.
func quantity[T int64 | float64](w *walker, f map[string]*yaml.Node, field string, parse func(string) (T, error), fallback T) T {
	n, ok := w.scalar(f, field, "!!str", "!!int", "!!float")
	if !ok {
		return fallback
	}
	value, err := parse(n.Value)
	if err != nil {
		w.fail(n.Line, "%s %w", field, err)
	}
	return value
}

func lineOf(n *yaml.Node) int {
	if n == nil {
		return 0
	}
	return n.Line
}
