package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

type reanalyzeCmd struct {
	remote
	Where  string `help:"Which published tracks: all, track=trk_…, owner=usr_…, \"analyzer_version < 5\"; joined by and." xor:"what" required:""`
	Rate   int64  `default:"3600" help:"Most tracks an hour; 0: as fast as the workers can."`
	Status bool   `help:"Show how far it is." xor:"what" required:""`
	Cancel string `placeholder:"ID" help:"Stop one; what was heard so far stays." xor:"what" required:""`
	JSON   bool   `help:"Print JSON."`
}

// Help is printed under the flags.
func (reanalyzeCmd) Help() string {
	return "For operators. Tracks are listened to anew from their stored masters, while nothing more urgent waits; nothing is rendered again. It goes on after a restart."
}

// reanalysis is the API's.
type reanalysis struct {
	ID      string    `json:"id"`
	State   string    `json:"state"`
	Where   string    `json:"where"`
	PerHour int64     `json:"per_hour"`
	Total   int       `json:"total"`
	Done    int       `json:"done"`
	Skipped int       `json:"skipped"`
	Failed  int       `json:"failed"`
	InHand  int       `json:"in_hand"`
	Reason  string    `json:"reason,omitempty"`
	Rate    float64   `json:"tracks_per_hour"`
	Left    *float64  `json:"seconds_left"`
	Created time.Time `json:"created"`
}

func (cmd reanalyzeCmd) Run(ctx context.Context, s std) error {
	const path = "/v1/ops/reanalyses"
	var list struct {
		Reanalyses []reanalysis `json:"reanalyses"`
	}
	var err error
	switch {
	case cmd.Status:
		err = cmd.call(ctx, http.MethodGet, path, nil, &list)
	case cmd.Cancel != "":
		list.Reanalyses = make([]reanalysis, 1)
		err = cmd.call(ctx, http.MethodDelete, path+"/"+url.PathEscape(cmd.Cancel), nil, &list.Reanalyses[0])
	default:
		list.Reanalyses = make([]reanalysis, 1)
		err = cmd.call(ctx, http.MethodPost, path, map[string]any{"where": cmd.Where, "per_hour": cmd.Rate}, &list.Reanalyses[0])
	}
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.out, list)
	}
	return cmd.print(s.out, list.Reanalyses)
}

func (cmd reanalyzeCmd) print(w io.Writer, all []reanalysis) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "Nothing was ever reanalyzed. Begin with: melodyud reanalyze --where all")
		return err
	}
	for _, r := range all {
		text := fmt.Sprintf("%s  %-9s  %d of %d tracks", r.ID, r.State, r.Done, r.Total)
		if r.Skipped+r.Failed > 0 {
			text += fmt.Sprintf(" (%d skipped, %d failed)", r.Skipped, r.Failed)
		}
		if r.Rate > 0 {
			text += fmt.Sprintf(", %.0f an hour", r.Rate)
		}
		if r.State == "running" && r.Left != nil {
			text += ", " + (time.Duration(*r.Left) * time.Second).String() + " left"
		}
		text += "  where " + r.Where
		if r.Reason != "" {
			text += "\n    the last failure: " + r.Reason
		}
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return nil
}
