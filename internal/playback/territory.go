package playback

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/text/language"

	melodyud "github.com/melodyud/melodyud"
	"github.com/melodyud/melodyud/internal/api"
	"github.com/melodyud/melodyud/internal/database"
	"github.com/melodyud/melodyud/internal/ticket"
)

func (s *Service) registerTerritories(r *api.Router) {
	const path = "/v1/tracks/{id}/territories"
	huma.Register(r.API, api.Operation("tracks", "get-territories", http.MethodGet, path, "Show where one of your tracks may be heard",
		"Operators may see those of any track.", 401, 403, 404), s.getTerritories)
	huma.Register(r.API, api.Operation("tracks", "set-territories", http.MethodPut, path, "Choose where one of your tracks may be heard",
		"Name the only countries, or the ones it may not be heard in, by ISO 3166-1 codes; neither is everywhere. Who listens "+
			"elsewhere is stopped within 2 seconds. A listener whose country is not known hears what is kept from some countries, "+
			"and does not hear what is released for some only. You hear your own tracks everywhere.", 400, 401, 403, 404, 422), s.putTerritories)
}

type territories struct {
	Only   []string `json:"only,omitempty" maxItems:"250" doc:"The only countries it may be heard in." example:"[\"DE\",\"FR\"]"`
	Except []string `json:"except,omitempty" maxItems:"250" doc:"The countries it may not be heard in."`
}

type (
	territoriesInput struct {
		ID string `path:"id" maxLength:"64" doc:"The track's id." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
	}
	territoriesWish struct {
		ID   string `path:"id" maxLength:"64" doc:"The track's id." example:"trk_01J9ZQ3W5Y7K8M2N4P6R8T0V1X"`
		Body territories
	}
	territoriesOutput struct {
		Body struct {
			Only   []string `json:"only,omitempty" doc:"The only countries it may be heard in."`
			Except []string `json:"except,omitempty" doc:"The countries it may not be heard in."`
			Known  bool     `json:"countries_known" doc:"Whether this server can tell where listeners are. If not, a track with only cannot be heard, and one with except can be heard everywhere."`
		}
	}
)

var (
	errCountryCode = melodyud.Refuse(melodyud.ErrInvalid, "territory.code",
		"Write countries with two letters, such as DE, FR or US; the United Kingdom is GB.")
	errBothRules = melodyud.Refuse(melodyud.ErrInvalid, "territory.both",
		"Name the only countries, or the excepted ones, but not both.")
)

// owner returns who asks if they may manage tracks of their own, or any.
func owner(ctx context.Context) (api.Principal, error) {
	return api.Require(ctx, api.RoleOps, api.RoleCreator)
}

func (s *Service) getTerritories(ctx context.Context, in *territoriesInput) (*territoriesOutput, error) {
	who, err := owner(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	id := melodyud.TrackID(in.ID)
	if _, err := s.releasesOf(ctx, who, id); err != nil {
		return nil, api.Fail(err)
	}
	rules, err := s.rules(ctx, id)
	if err != nil {
		return nil, api.Fail(err)
	}
	return s.showRule(rules[id]), nil
}

func (s *Service) putTerritories(ctx context.Context, in *territoriesWish) (*territoriesOutput, error) {
	who, err := owner(ctx)
	if err != nil {
		return nil, api.Fail(err)
	}
	rule, err := in.Body.rule()
	if err != nil {
		return nil, api.Fail(err)
	}
	if err := s.setRule(ctx, who, melodyud.TrackID(in.ID), rule); err != nil {
		return nil, api.Fail(err)
	}
	return s.showRule(rule), nil
}

func (s *Service) showRule(rule ticket.Countries) *territoriesOutput {
	out := &territoriesOutput{}
	out.Body.Known = s.c.Places != nil
	if strings.HasPrefix(string(rule), "+") {
		out.Body.Only = rule.Codes()
	} else {
		out.Body.Except = rule.Codes()
	}
	return out
}

// rule reads the wish of a creator.
func (t territories) rule() (ticket.Countries, error) {
	only, err1 := countries(t.Only)
	except, err2 := countries(t.Except)
	switch {
	case err1 != nil || err2 != nil:
		return "", errors.Join(err1, err2)
	case len(only) > 0 && len(except) > 0:
		return "", errBothRules
	case len(only) > 0:
		return ticket.OnlyIn(only...), nil
	}
	return ticket.NotIn(except...), nil
}

// countries checks codes and writes them in capitals.
func countries(codes []string) ([]string, error) {
	out := make([]string, len(codes))
	for i, code := range codes {
		out[i] = strings.ToUpper(strings.TrimSpace(code))
		region, err := language.ParseRegion(out[i])
		if err != nil || len(out[i]) != 2 || !region.IsCountry() || region.String() != out[i] || region.Canonicalize() != region {
			return nil, errCountryCode
		}
	}
	return out, nil
}

// setRule says where a track of who's may be heard from now on, and has every edge
// hold the tickets to it that were given out before.
func (s *Service) setRule(ctx context.Context, who api.Principal, id melodyud.TrackID, rule ticket.Countries) error {
	releases, err := s.releasesOf(ctx, who, id)
	if err != nil {
		return err
	}
	now := s.c.Now()
	written := string(rule)
	n := melodyud.Notice{
		Scope: melodyud.NoticeTrack, ID: string(id), Before: now.UTC(), Releases: releases, Countries: &written,
		Code: "playback.territory", Text: "The countries this track may be heard in have changed.",
	}
	err = s.c.Database.InTx(ctx, func(tx database.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO territories (track, rule, changed) VALUES (?, ?, ?)
			ON CONFLICT (track) DO UPDATE SET rule = excluded.rule, changed = excluded.changed`, string(id), written, database.Millis(now))
		if err != nil {
			return err
		}
		return tx.Emit(ctx, melodyud.TopicRights, melodyud.NewNotice(now, n))
	})
	if err != nil {
		return fmt.Errorf("set territories of track %s: %w", id, err)
	}
	return nil
}

// rules returns the rules of those tracks that have one.
func (s *Service) rules(ctx context.Context, ids ...melodyud.TrackID) (map[melodyud.TrackID]ticket.Countries, error) {
	rules := map[melodyud.TrackID]ticket.Countries{}
	if len(ids) == 0 {
		return rules, nil
	}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = string(id)
	}
	rows, err := s.c.Database.Query(ctx, `SELECT track, rule FROM territories WHERE track IN (?`+strings.Repeat(", ?", len(ids)-1)+`)`, args...)
	if err == nil {
		err = readRules(rows, rules)
	}
	if err != nil {
		return nil, fmt.Errorf("read territories: %w", err)
	}
	return rules, nil
}

func readRules(rows *sql.Rows, rules map[melodyud.TrackID]ticket.Countries) error {
	defer rows.Close()
	for rows.Next() {
		var id melodyud.TrackID
		var rule ticket.Countries
		if err := rows.Scan(&id, &rule); err != nil {
			return err
		}
		rules[id] = rule
	}
	return rows.Err()
}

// permit returns the rule that a ticket of who for tracks has to carry, or the
// refusal if who is where one of them may not be heard.
func (s *Service) permit(ctx context.Context, who api.Principal, tracks ...melodyud.Track) (ticket.Countries, error) {
	var ids []melodyud.TrackID
	for _, t := range tracks {
		if (t.Owner != who.User || who.User == "") && !slices.Contains(ids, t.ID) {
			ids = append(ids, t.ID)
		}
	}
	rules, err := s.rules(ctx, ids...)
	if err != nil {
		return "", err
	}
	var all ticket.Countries
	for _, id := range ids { // not in the order of a map
		all = all.And(rules[id])
	}
	if all == "" {
		return "", nil
	}
	country := ""
	if from := api.AddressOf(ctx); s.c.Places != nil && from.IsValid() {
		country = s.c.Places.Country(from)
	}
	if err := all.Check(country); err != nil {
		return "", api.WithStatus(err, http.StatusUnavailableForLegalReasons)
	}
	return all, nil
}
