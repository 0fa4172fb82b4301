package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"
)

type revokeCmd struct {
	remote
	Session string `placeholder:"SES" help:"One play session, as the playback answer named it." xor:"what" required:""`
	Account string `placeholder:"ACC" help:"A listener, as tickets and facts name them." xor:"what" required:""`
	User    string `placeholder:"USR" help:"A listener, as the list of keys names them." xor:"what" required:""`
	Track   string `placeholder:"TRK" help:"A track." xor:"what" required:""`
	Signed  string `placeholder:"KEY" help:"Everything a ticket key has signed." xor:"what" required:""`
	Reason  string `help:"A sentence for whoever listens."`
}

// Help is printed under the flags.
func (revokeCmd) Help() string {
	return "For operators. Playback addresses given out until now stop at every edge within two seconds; whoever may still listen can ask for new ones."
}

func (cmd revokeCmd) Run(ctx context.Context, s std) error {
	body := map[string]string{}
	for name, v := range map[string]string{
		"session": cmd.Session, "account": cmd.Account, "user": cmd.User, "track": cmd.Track, "key": cmd.Signed, "reason": cmd.Reason,
	} {
		if v != "" {
			body[name] = v
		}
	}
	var told struct {
		Scope  string    `json:"scope"`
		ID     string    `json:"id"`
		Before time.Time `json:"before"`
	}
	if err := cmd.call(ctx, http.MethodPost, "/v1/revocations", body, &told); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.out, "%s %s: what was given out until %s stops within two seconds\n", told.Scope, told.ID, told.Before.Format(time.RFC3339))
	return err
}

type keysCmd struct {
	List   keysListCmd   `cmd:"" default:"withargs" help:"List the keys that sign playback addresses."`
	Rotate keysRotateCmd `cmd:"" help:"Sign with a new key; the old one stays good."`
	Retire keysRetireCmd `cmd:"" help:"Accept a key no longer."`
}

// ticketKey is the API's.
type ticketKey struct {
	ID      string     `json:"id"`
	Created time.Time  `json:"created"`
	State   string     `json:"state"`
	Until   *time.Time `json:"until"`
}

const ticketKeys = "/v1/ops/ticket-keys"

type keysListCmd struct {
	remote
	JSON bool `help:"Print JSON."`
}

func (cmd keysListCmd) Run(ctx context.Context, s std) error {
	var all struct {
		Keys []ticketKey `json:"keys"`
	}
	if err := cmd.call(ctx, http.MethodGet, ticketKeys, nil, &all); err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.out, all)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, k := range all.Keys {
		until := ""
		if k.Until != nil {
			until = "in use until " + k.Until.Local().Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.ID, k.State, k.Created.Local().Format(time.DateTime), until)
	}
	return w.Flush()
}

type keysRotateCmd struct{ remote }

func (cmd keysRotateCmd) Run(ctx context.Context, s std) error {
	var k ticketKey
	if err := cmd.call(ctx, http.MethodPost, ticketKeys, nil, &k); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.out, "%s signs in a few seconds; retire the old key in a week, or at once if it leaked\n", k.ID)
	return err
}

type keysRetireCmd struct {
	remote
	ID  string `arg:"" help:"The key."`
	Now bool   `help:"Even while addresses signed with it are in use: they stop."`
}

func (cmd keysRetireCmd) Run(ctx context.Context, s std) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	if cmd.Now {
		c = c.with(url.Values{"now": {"true"}})
	}
	if err := c.call(ctx, http.MethodDelete, ticketKeys+"/"+url.PathEscape(cmd.ID), nil, nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s is not accepted any more\n", cmd.ID)
	return err
}
