package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"
)

// adsCmd are the house ads.
type adsCmd struct {
	List   adsListCmd   `cmd:"" default:"1" help:"List the house ads and what each waits for."`
	Add    adsAddCmd    `cmd:"" help:"Name an uploaded track a house ad, or change what is said of it."`
	Remove adsRemoveCmd `cmd:"" help:"Let nobody hear an ad any more."`
}

// ad is the API's.
type ad struct {
	Track      string   `json:"track"`
	Title      string   `json:"title"`
	Advertiser string   `json:"advertiser"`
	Active     bool     `json:"active"`
	Weight     int      `json:"weight"`
	Status     string   `json:"status"`
	Duration   float64  `json:"duration_seconds,omitempty"`
	Loudness   *float64 `json:"loudness_lufs,omitempty"`
	Gain       float64  `json:"gain_db"`

	Impressions int64 `json:"impressions"`
	Completions int64 `json:"completions"`
	Errors      int64 `json:"errors"`
}

// waits says what stands between an ad and its listeners.
func (a ad) waits() string {
	if !a.Active {
		return "paused"
	}
	return cmp.Or(map[string]string{
		"ready":     "is heard",
		"preparing": "waits for its track to be prepared",
		"levelling": "is about to be rendered as loud as music",
		"unmatched": "is silent, or cannot be made as loud as music: master it louder",
		"too-long":  "is longer than 90 seconds",
		"gone":      "its track was refused or withdrawn",
	}[a.Status], a.Status)
}

type adsListCmd struct {
	remote
	JSON bool `help:"Print JSON."`
}

func (cmd adsListCmd) Run(ctx context.Context, s std) error {
	var all struct {
		Ads []ad `json:"ads"`
	}
	if err := cmd.call(ctx, http.MethodGet, "/v1/ads", nil, &all); err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.out, all.Ads)
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TRACK\tADVERTISER\tTITLE\tSECONDS\tLUFS\tGAIN\tWEIGHT\tHEARD\tTO THE END\tERRORS\t")
	for _, a := range all.Ads {
		loudness := "–"
		if a.Loudness != nil {
			loudness = fmt.Sprintf("%.1f", *a.Loudness)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%.1f\t%s\t%+.1f\t%d\t%d\t%d\t%d\t%s\n", a.Track, a.Advertiser, a.Title, a.Duration, loudness, a.Gain, a.Weight,
			a.Impressions, a.Completions, a.Errors, a.waits())
	}
	return table.Flush()
}

type adsAddCmd struct {
	remote
	Track      string `arg:"" help:"The ad's track, as melodyud upload printed it. It leaves all lists of listeners."`
	Title      string `help:"Default: the track's."`
	Advertiser string `help:"Whose ad it is; listeners read it. Default: the track's artist."`
	Weight     int    `default:"1" help:"How often, in proportion to the others: 1 to 10."`
	Paused     bool   `help:"Keep it, but let nobody hear it."`
	Wait       bool   `help:"Wait until it can be heard."`
}

func (cmd adsAddCmd) Run(ctx context.Context, s std) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	in := map[string]any{
		"track": cmd.Track, "title": cmd.Title, "advertiser": cmd.Advertiser, "weight": cmd.Weight, "active": !cmd.Paused,
	}
	var a ad
	for {
		if err := c.call(ctx, http.MethodPost, "/v1/ads", in, &a); err != nil {
			return err
		}
		if !cmd.Wait || a.Status != "preparing" && a.Status != "levelling" {
			break
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(s.out, "%s %s\n", a.Track, a.waits())
	if err == nil && cmd.Wait && a.Status != "ready" {
		return coded{exitRefused, a.Track + " " + a.waits()}
	}
	return err
}

type adsRemoveCmd struct {
	remote
	Track string `arg:"" help:"The ad's track. It stays out of listeners' lists."`
}

func (cmd adsRemoveCmd) Run(ctx context.Context, s std) error {
	if err := cmd.call(ctx, http.MethodDelete, "/v1/ads/"+url.PathEscape(cmd.Track), nil, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.out, "%s is not heard any more\n", cmd.Track)
	return err
}
