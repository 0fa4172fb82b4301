import { batch, computed, effect, signal } from "@preact/signals";
import { ApiError, api, sentence } from "../api/client";
import type { Album, Track } from "../api/types";
import { nameOf } from "../ui/format";
import { announce, say } from "../ui/say";
import { Ahead } from "./ahead";
import { Reporter, renditionOf } from "./beacons";
import { Engine, type Range, type Trouble } from "./engine";
import { clear, line, remove } from "./line";
import { loudnessFrom, type Loudness } from "./loudness";
import { remember, remembered } from "./settings";
import { Renewing, albumTicket, trackTicket, type Ticket } from "./ticket";

// Which track plays, in which family of sound, and what happens when it cannot.

export const list = signal<Track[]>([]);
export const current = signal<Track | undefined>(undefined);
/** Whether the listener wants hi-fi; premium only. */
export const hifiWanted = signal(remembered("hifi", 0) === 1);
/** Whether the playlist being played is the hi-fi one. */
export const hifiOn = signal(false);
/** Whether the current track has a hi-fi playlist for this listener. */
export const hifiOffered = signal(false);
export const trouble = signal("");

export const engine = new Engine(onTrouble, onEnded);

/** Whether music is heard, or will be as soon as it can. */
export const going = computed(() => ["playing", "loading", "stalled"].includes(engine.sound.value));

/** Tells the edge what is heard. */
export const reporter = new Reporter(engine.audio);
reporter.start();
engine.onAd = (what, about) => {
  reporter.ad(what, about);
  if (what === "impression" || what === "completed") ahead.forget(); // what was asked for before may have the same break once more.
  if (what !== "quartile") reporter.report();
};
effect(() => reporter.interlude(engine.ads.on.value));
/** Whether an ad is heard: nothing is skipped then. */
const interrupted = () => engine.ads.on.peek();
/** What is heard instead of the music. */
export const spot = engine.ads.spot;
effect(() => {
  const { advertiser, left } = spot.value ?? {};
  if (left !== undefined && left === spot.peek()?.duration) announce(`Advertisement${advertiser ? ` by ${advertiser}` : ""}, ${Math.ceil(left)} seconds.`);
});

/** Part is a track of several that play as one, with its bounds in seconds. */
interface Part {
  track: Track;
  from: number;
  to: number;
}

/** The album that plays; undefined while tracks play one by one. */
export const album = signal<Album | undefined>(undefined);
/** Of the album that plays, as one. */
export const albumLoudness = signal<Loudness | undefined>(undefined);
const parts = signal<Part[]>([]);
const part = computed(() => partAt(parts.value, engine.position.value));

/** partAt returns the part that sounds at a time. Half a frame of rounding belongs to the next one. */
export function partAt<P extends { from: number }>(all: readonly P[], seconds: number): P | undefined {
  return all.findLast((p) => p.from <= seconds + 0.01) ?? all[0];
}

/** Where the music is, within the current track. */
export const position = computed(() => Math.max(0, engine.position.value - (part.value?.from ?? 0)));
export const duration = computed(() => (part.value ? part.value.to - part.value.from : engine.duration.value));
export const buffered = computed<Range[]>(() => {
  const p = part.value;
  if (!p) return engine.buffered.value;
  return engine.buffered.value
    .map((r) => ({ from: Math.max(r.from, p.from) - p.from, to: Math.min(r.to, p.to) - p.from }))
    .filter((r) => r.to > r.from);
});

effect(() => {
  const now = part.value?.track;
  if (!now || now.id === current.peek()?.id) return;
  current.value = now;
  announce(playingSentence(now));
});

/** The last track that played in the order of the list: what was lined up does not move it. */
const anchor = signal("");
effect(() => {
  const p = part.value;
  if (p) reporter.part(p.track.release?.id, p.from, p.to);
});
effect(() => reporter.quality(renditionOf(engine.heard.value)));

const place = computed(() => {
  const order = part.value ? parts.value.map((p) => p.track) : list.value;
  return { order, index: part.value ? parts.value.indexOf(part.value) : order.findIndex((t) => t.id === anchor.value) };
});
/** What follows in the album or in the list, after what was lined up. */
export const following = computed(() => (place.value.index < 0 ? [] : place.value.order.slice(place.value.index + 1)));
/** What plays next: an album goes on first. */
const upcoming = computed(() => (parts.value.length > 0 ? following.value[0] ?? line.value[0] : line.value[0] ?? following.value[0]));
export const hasNext = computed(() => current.value !== undefined && upcoming.value !== undefined);
export const hasPrevious = computed(() => current.value !== undefined);

let ticket: Ticket | undefined;
/** ticketNow is the ticket of what plays. */
export function ticketNow(): Ticket | undefined {
  return current.value && ticket;
}

let ask: (() => Promise<Ticket>) | undefined;
let asking = 0;
let renewals = 0;
/** Whether the ticket was renewed out of turn. */
let renewed = false;
const renewalPauses = [0, 1_000, 4_000];

/** Playbacks of single tracks, asked for before they are wanted. */
const ahead = new Ahead(trackTicket);
const renewing = new Renewing((from, to) => {
  engine.move(from, to);
  reporter.move(from, to);
});

const keyOf = (t: Track) => `${t.id} ${hifiWanted.value ? "hifi" : "standard"}`;

/** likely has what a track needs to begin brought here: it may be pressed, or be the next. */
export function likely(t: Track): void {
  if (t.id !== current.peek()?.id) ahead.want(keyOf(t));
}

function playingSentence(t: Track): string {
  return `Playing ${nameOf(t)}${t.artist ? ` by ${t.artist}` : ""}.`;
}

/** play starts a track from its beginning; one of the album that plays goes on as part of it. */
export async function play(t: Track): Promise<void> {
  const here = parts.value.find((p) => p.track.id === t.id);
  if (here && engine.sound.value !== "failed") {
    seekTo(here);
    return;
  }
  anchor.value = t.id;
  await start(t);
}

async function start(t: Track): Promise<void> {
  engine.pressed();
  let first: Promise<Ticket> | undefined = ahead.take(keyOf(t)); // on its way before anything else is done.
  begin(t, t.release?.duration_seconds ?? 0);
  announce(playingSentence(t));
  ask = () => {
    const answer = first ?? ahead.take(keyOf(t));
    first = undefined;
    return answer;
  };
  await open(0, true);
}

/** playAlbum plays an album as one, from its first track on. */
export async function playAlbum(a: Album): Promise<void> {
  engine.pressed();
  begin(undefined, a.duration_seconds);
  album.value = a;
  ask = async () => {
    const { ticket, tracks } = await albumTicket(a.id, hifiWanted.value);
    if (album.value === a) parts.value = partsOf(tracks);
    return ticket;
  };
  // Heard of in time or not: the music does not wait for it.
  api.albumLoudness(a.id).then((l) => album.value === a && (albumLoudness.value = loudnessFrom(l.integrated_lufs, l.true_peak_dbtp)), () => undefined);
  await open(0, true);
}

function partsOf(tracks: { start_seconds: number; track: Track }[]): Part[] {
  return tracks.map(({ start_seconds: from, track }) => ({ track, from, to: from + (track.release?.duration_seconds ?? 0) }));
}

/** begin leaves what plays for what is to be heard; it is told to all who look as one change. */
function begin(t: Track | undefined, seconds: number): void {
  reporter.wanted();
  batch(() => clean(t, seconds));
}

function clean(t: Track | undefined, seconds: number): void {
  parts.value = [];
  album.value = undefined;
  albumLoudness.value = undefined;
  current.value = t;
  renewing.stop();
  trouble.value = "";
  renewals = 0;
  renewed = false;
  engine.stop();
  engine.position.value = 0;
  engine.duration.value = seconds;
  engine.sound.value = "loading";
}

/** open asks for a ticket and gives it to the engine; a newer call wins. */
async function open(at: number, start: boolean): Promise<void> {
  const mine = ++asking;
  const was = partAt(parts.value, at);
  try {
    const p = await ask?.();
    if (mine !== asking || !p) return;
    ticket = p;
    reporter.opened(p.url);
    renewing.follow(p);
    // An album may have lost a track since: the music goes on where it was.
    const now = was && parts.value.find((x) => x.track.id === was.track.id);
    if (was && now) at += now.from - was.from;
    hifiOffered.value = Boolean(p.hifi);
    await sound(hifiWanted.value, at, start);
  } catch (err) {
    if (mine === asking) giveUp(playbackSentence(err));
  }
}

/** sound gives the engine the hi-fi or the standard playlist of the ticket. */
async function sound(hifi: boolean, at: number, start: boolean): Promise<void> {
  if (!ticket) return;
  const lossless = hifi && ticket.hifi !== undefined;
  hifiOn.value = lossless;
  await engine.load({
    url: (lossless ? ticket.hifi : undefined) ?? ticket.url,
    native: lossless ? ticket.nativeHifi : ticket.native,
    lossless, at, play: start, bounds: ticket.bounds,
    memory: ticket.memory, rendition: lossless === Boolean(ticket.lossless) ? ticket.rendition : undefined,
    session: reporter.play,
  });
}

function playbackSentence(err: unknown): string {
  if (err instanceof ApiError && err.status === 404) return "This track is no longer published. Choose another one.";
  return sentence(err);
}

function giveUp(text: string): void {
  engine.fail();
  reporter.failed("gave-up");
  trouble.value = text;
  announce(text);
}

/** onTrouble: first out of hi-fi (HLS-34), then a fresh ticket, then words. */
function onTrouble(t: Trouble): void {
  const track = current.value;
  if (!track) return;
  const at = engine.now;
  if (hifiOn.value && t !== "ticket" && t !== "refused") {
    say("Hi-fi could not be played smoothly here, so this track goes on in standard quality.");
    void sound(false, at, true);
    return;
  }
  if (t === "refused") return giveUp(engine.refusal?.text ?? "");
  if (t === "slow") return; // hls.js goes on loading; the play button shows that it waits.
  const asked = ask;
  if (t === "ticket" && !renewed) {
    renewed = true;
    void renewing.now().then((could) => {
      if (ask !== asked) return;
      if (could) engine.goOn();
      else onTrouble(t);
    });
    return;
  }
  const pause = renewalPauses[renewals++];
  if (t === "media" || pause === undefined) {
    giveUp(t === "media" ? "This browser could not play this track. Try another browser." : "The connection to the music broke. Press play to try again.");
    return;
  }
  const start = !engine.audio.paused;
  setTimeout(() => {
    if (ask === asked) void open(at, start);
  }, pause);
}

// The next track is asked for once this one has begun, and what it needs with it.
effect(() => {
  if (engine.sound.value !== "playing" || engine.position.value < 2) return;
  const t = upcoming.value;
  if (t && !parts.value.some((p) => p.track.id === t.id)) likely(t);
});

function onEnded(): void {
  if (hasNext.value) next();
}

/** next goes to what was lined up, or on in the album or the list. */
export function next(): void {
  if (interrupted()) return;
  const t = upcoming.value;
  const p = t && parts.value[place.value.index + 1];
  if (p) seekTo(p);
  else if (t && t === line.value[0]) playLined(0);
  else if (t) void play(t);
}

/** playLined plays a track that was lined up, at once. */
export function playLined(at: number): void {
  const t = remove(at);
  if (t) void start(t);
}

function seekTo(p: Part): void {
  engine.seek(p.from);
  engine.play();
}

/** seek goes to a time within the current track. */
export function seek(to: number): void {
  const p = part.value;
  engine.seek(p ? p.from + Math.min(Math.max(0, to), p.to - p.from - 0.05) : to);
}

/** previous goes to the start of the track first, as players do. */
export function previous(): void {
  if (interrupted()) return;
  const { order, index } = place.value;
  const lined = parts.value.length === 0 && current.value?.id !== order[index]?.id; // then back to where the list was.
  const [p, t] = [parts.value[index - 1], order[lined ? index : index - 1]];
  if (position.value > 3 || !t) seek(0);
  else if (p) seekTo(p);
  else void play(t);
}

/** toggle plays or pauses; with nothing chosen yet it starts the first track. */
export function toggle(): void {
  const t = current.value ?? list.value[0];
  if (!t) return;
  switch (engine.sound.value) {
    case "idle":
      if (current.value || line.value.length === 0) void play(t);
      else playLined(0);
      return;
    case "failed":
      trouble.value = "";
      renewals = 0;
      engine.sound.value = "loading";
      void open(engine.position.value, true);
      return;
    case "playing":
    case "loading":
    case "stalled":
      engine.pause();
      return;
    case "ended":
      engine.seek(0);
      engine.play();
      return;
    case "paused":
      engine.play();
  }
}

export function skip(seconds: number): void {
  if (current.value) engine.seek(engine.now + seconds); // of an album, also over a join
}

/** wantHifi switches the family of sound where the music is. */
export function wantHifi(on: boolean): void {
  hifiWanted.value = on;
  remember("hifi", on ? 1 : 0);
  announce(on ? "Hi-fi on." : "Hi-fi off.");
  if (!current.value || !ticket || on === hifiOn.value) return;
  const playing = engine.sound.value !== "paused" && engine.sound.value !== "ended";
  void sound(on, engine.now, playing);
}

/** silence stops everything, as when the listener signs out. */
export function silence(): void {
  asking++;
  reporter.left();
  begin(undefined, 0);
  engine.sound.value = "idle";
  ahead.forget();
  ask = undefined;
  clear();
}
