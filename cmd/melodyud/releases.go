package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"
)

type releasesCmd struct {
	remote
	Track string `arg:"" help:"One of your tracks."`
	JSON  bool   `help:"Print JSON."`
}

func (cmd releasesCmd) Run(ctx context.Context, s std) error {
	var all struct {
		Releases []struct {
			ID        string    `json:"id"`
			Number    int       `json:"number"`
			Duration  float64   `json:"duration_seconds"`
			Published time.Time `json:"published"`
			Current   bool      `json:"current"`
			FileName  string    `json:"file_name"`
		} `json:"releases"`
	}
	if err := cmd.call(ctx, http.MethodGet, "/v1/tracks/"+url.PathEscape(cmd.Track)+"/releases", nil, &all); err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.out, all.Releases)
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NUMBER\tID\tPUBLISHED\tSECONDS\tFILE\t")
	for _, r := range all.Releases {
		now := ""
		if r.Current {
			now = "heard now"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%.1f\t%s\t%s\n", r.Number, r.ID, r.Published.Local().Format(time.DateTime), r.Duration, r.FileName, now)
	}
	return table.Flush()
}

type restoreCmd struct {
	remote
	Track   string `arg:"" help:"One of your tracks."`
	Release string `arg:"" help:"The release that listeners shall hear: see melodyud releases."`
}

func (cmd restoreCmd) Run(ctx context.Context, s std) error {
	var t track
	path := "/v1/tracks/" + url.PathEscape(cmd.Track) + "/releases/" + url.PathEscape(cmd.Release) + "/restore"
	if err := cmd.call(ctx, http.MethodPost, path, nil, &t); err != nil {
		return err
	}
	if t.Release != nil {
		fmt.Fprintf(s.out, "%s: release %d is heard now\n", t.ID, t.Release.Number)
	}
	return nil
}
