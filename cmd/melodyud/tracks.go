package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"
)

type tracksCmd struct {
	remote
	State string `enum:"received,published,refused,withdrawn," default:"" help:"Only tracks in this state: received, published, refused or withdrawn."`
	JSON  bool   `help:"Print one JSON object a line."`
}

func (cmd tracksCmd) Run(ctx context.Context, s std) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	if !cmd.JSON {
		fmt.Fprintln(table, "ID\tSTATE\tLENGTH\tTITLE\tARTIST")
	}
	err = c.eachTrack(ctx, cmd.State, func(t track) error {
		if cmd.JSON {
			return printJSON(s.out, t)
		}
		_, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", t.ID, standing(t), length(t), t.Title, t.Artist)
		return err
	})
	if err != nil {
		return err
	}
	return table.Flush()
}

// eachTrack visits all of the caller's tracks, page by page.
func (c *client) eachTrack(ctx context.Context, state string, visit func(track) error) error {
	cursor := ""
	for {
		q := url.Values{"limit": {"100"}}
		if state != "" {
			q.Set("state", state)
		}
		if cursor != "" {
			q.Set("cursor", cursor)
		}
		var page struct {
			Tracks []track `json:"tracks"`
			Next   string  `json:"next"`
		}
		if err := c.with(q).call(ctx, http.MethodGet, "/v1/tracks", nil, &page); err != nil {
			return err
		}
		for _, t := range page.Tracks {
			if err := visit(t); err != nil {
				return err
			}
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}

func standing(t track) string {
	switch {
	case t.State == "received":
		return fmt.Sprintf("%s %d%%", t.Progress.Stage, t.Progress.Percent)
	case t.Refusal != nil:
		return t.State + " " + t.Refusal.Code
	}
	return t.State
}

func length(t track) string {
	if t.Release == nil {
		return "-"
	}
	return clock(time.Duration(t.Release.Duration * float64(time.Second)))
}

// clock prints a length as musicians do: 3:07, 1:02:45.
func clock(d time.Duration) string {
	d = d.Round(time.Second)
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	if h > 0 {
		return fmt.Sprintf("%d:%02d:%02d", h, m, s)
	}
	return fmt.Sprintf("%d:%02d", m, s)
}

type trackCmd struct {
	remote
	ID   string `arg:"" help:"The track's id, trk_…"`
	JSON bool   `help:"Print JSON."`
}

func (cmd trackCmd) Run(ctx context.Context, s std) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	t, err := c.track(ctx, cmd.ID)
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.out, t)
	}
	fmt.Fprintf(s.out, "id      %s\nstate   %s\ntitle   %s\nartist  %s\nalbum   %s\nfile    %s\nlength  %s\n",
		t.ID, standing(t), t.Title, t.Artist, t.Album, t.FileName, length(t))
	if t.Refusal != nil {
		fmt.Fprintf(s.out, "reason  %s\n", t.Refusal.Text)
	}
	return nil
}

type playURLCmd struct {
	remote
	ID   string `arg:"" help:"The track's id, trk_…"`
	Hifi bool   `help:"The lossless variant."`
	Dash bool   `help:"The MPEG-DASH manifest."`
	JSON bool   `help:"Print JSON with all addresses."`

	Encrypt bool `help:"The encrypted form: HLS with AES-128."`
}

func (cmd playURLCmd) Run(ctx context.Context, s std) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	p, err := c.play(ctx, cmd.ID, cmd.Encrypt)
	if err != nil {
		return err
	}
	switch {
	case cmd.JSON:
		return printJSON(s.out, p)
	case cmd.Dash && p.DashURL == "":
		return fmt.Errorf("encrypted streams are HLS only: leave out --dash")
	case cmd.Dash:
		fmt.Fprintln(s.out, p.DashURL)
	case cmd.Hifi && p.HifiURL == "":
		return fmt.Errorf("your key's plan does not include lossless playback")
	case cmd.Hifi:
		fmt.Fprintln(s.out, p.HifiURL)
	default:
		fmt.Fprintln(s.out, p.URL)
	}
	return nil
}

type healthCmd struct {
	Server string `env:"MELODYUD_SERVER" default:"http://127.0.0.1:8080" help:"Address of the server."`
}

func (cmd healthCmd) Run(ctx context.Context, s std) error {
	var ready struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks"`
	}
	server := remote{Server: cmd.Server, Key: "none"} // health needs no key
	if err := server.call(ctx, http.MethodGet, "/readyz", nil, &ready); err != nil {
		return err
	}
	return printJSON(s.out, ready)
}

type queueCmd struct {
	Ls    queueLsCmd    `cmd:"" help:"What waits and what is being worked on."`
	Dead  queueDeadCmd  `cmd:"" help:"Tracks that failed for good, with the reason."`
	Retry queueRetryCmd `cmd:"" help:"Try a failed track again."`
}

type queueLsCmd struct{ remote }

func (cmd queueLsCmd) Run(ctx context.Context, s std) error {
	return cmd.print(ctx, s, "/v1/ops/queues")
}

type queueDeadCmd struct{ remote }

func (cmd queueDeadCmd) Run(ctx context.Context, s std) error {
	return cmd.print(ctx, s, "/v1/ops/dead")
}

// print shows what a GET answers.
func (r remote) print(ctx context.Context, s std, path string) error {
	var answer any
	if err := r.call(ctx, http.MethodGet, path, nil, &answer); err != nil {
		return err
	}
	return printJSON(s.out, answer)
}

type queueRetryCmd struct {
	remote
	ID string `arg:"" help:"The track's id, trk_…"`
}

func (cmd queueRetryCmd) Run(ctx context.Context, s std) error {
	if err := cmd.call(ctx, http.MethodPost, "/v1/ops/tracks/"+url.PathEscape(cmd.ID)+"/retry", nil, nil); err != nil {
		return err
	}
	fmt.Fprintln(s.out, "queued again:", cmd.ID)
	return nil
}
