package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"shardraid/object"
)

// withJSON adds the flag that result and line go by.
func (a *app) withJSON(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON, an object a line")
	return cmd
}

// result shows what a command found: as JSON, or as text for a person.
func (a *app) result(cmd *cobra.Command, value any, text func(io.Writer)) error {
	if a.json {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(value)
	}
	text(cmd.OutOrStdout())
	return nil
}

// line shows one of many results.
func (a *app) line(cmd *cobra.Command, value any, text string) error {
	return a.result(cmd, value, func(w io.Writer) { fmt.Fprintln(w, text) })
}

// finding is what --json prints of one file.
type finding struct {
	Key     string `json:"key"`
	Size    int64  `json:"size"`
	Whole   bool   `json:"whole"`
	Lost    bool   `json:"lost"`
	Shards  int    `json:"shards"`
	Missing int    `json:"missing"`
	Damaged int    `json:"damaged"`
	Silent  int    `json:"silent"` // on backends that give no answer
	Spare   int    `json:"spare"`  // how many more backends may be lost; below 0 where it cannot be had now
	Copies  int    `json:"copies"` // of the manifest
	Need    int    `json:"copies_needed"`
	Checked int    `json:"checked"` // shards compared by hash or read
	Error   string `json:"error"`   // why it could not be looked at, "" if it could
}

func found(f object.Finding) finding {
	h := f.Health
	return finding{f.Key, h.Size, isWhole(f), h.Lost, h.Shards, h.Missing, h.Damaged, h.Silent, h.Spare, h.Copies, h.Need, h.Checked, errorText(f.Err)}
}

func (a *app) showFinding(cmd *cobra.Command, f object.Finding) {
	a.line(cmd, found(f), f.Key+"\t"+describe(f))
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
