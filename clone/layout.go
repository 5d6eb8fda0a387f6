package clone

import (
	"fmt"
	"io"
	"os"

	"shardraid/layout"
)

// ReadLayout reads a layout file, no more of it than a layout may have.
func ReadLayout(file string) (l *layout.Layout, text string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, "", fmt.Errorf("read layout: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, layout.MaxText+1))
	if err != nil {
		return nil, "", fmt.Errorf("read layout: %w", err)
	}
	l, err = layout.Parse(file, data)
	return l, string(data), err
}
