import { computed, effect, signal } from "@preact/signals";
import { ApiError, api, coverURL, sentence } from "../api/client";
import type { Playback, Track } from "../api/types";
import { nameOf } from "../ui/format";
import { announce, say } from "../ui/say";
import { Engine, type Trouble } from "./engine";
import { remember, remembered } from "./settings";

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
export const volume = signal(Math.min(1, Math.max(0, remembered("volume", 0.8))));
export const muted = signal(remembered("muted", 0) === 1);

export const engine = new Engine(onTrouble, onEnded);

const place = computed(() => list.value.findIndex((t) => t.id === current.value?.id));
export const hasNext = computed(() => place.value >= 0 && place.value < list.value.length - 1);
export const hasPrevious = computed(() => current.value !== undefined);

effect(() => {
  // Hearing is logarithmic; a squared curve makes the slider feel even.
  engine.audio.volume = volume.value ** 2;
  engine.audio.muted = muted.value;
  remember("volume", volume.value);
  remember("muted", muted.value ? 1 : 0);
});

let ticket: Playback | undefined;
let asking = 0;
let renewals = 0;
const renewalPauses = [0, 1_000, 4_000];

/** play starts a track from its beginning. */
export async function play(t: Track): Promise<void> {
  current.value = t;
  trouble.value = "";
  renewals = 0;
  engine.stop();
  engine.position.value = 0;
  engine.duration.value = t.release?.duration_seconds ?? 0;
  engine.sound.value = "loading";
  announce(`Playing ${nameOf(t)}${t.artist ? ` by ${t.artist}` : ""}.`);
  await open(t, 0, true);
}

/** open asks for a ticket and gives it to the engine; a newer call wins. */
async function open(t: Track, at: number, start: boolean): Promise<void> {
  const mine = ++asking;
  try {
    const p = await api.playback(t.id);
    if (mine !== asking) return;
    ticket = p;
    hifiOffered.value = Boolean(p.hifi_url);
    await sound(hifiWanted.value, at, start);
  } catch (err) {
    if (mine === asking) giveUp(playbackSentence(err));
  }
}

/** sound gives the engine the hi-fi or the standard playlist of the ticket. */
async function sound(hifi: boolean, at: number, start: boolean): Promise<void> {
  if (!ticket) return;
  const url = hifi ? ticket.hifi_url : undefined;
  hifiOn.value = url !== undefined;
  await engine.load({ url: url ?? ticket.url, lossless: url !== undefined, at, play: start });
}

function playbackSentence(err: unknown): string {
  if (err instanceof ApiError && err.status === 404) return "This track is no longer published. Choose another one.";
  return sentence(err);
}

function giveUp(text: string): void {
  engine.fail();
  trouble.value = text;
  announce(text);
}

/** onTrouble: first out of hi-fi (HLS-34), then a fresh ticket, then words. */
function onTrouble(t: Trouble): void {
  const track = current.value;
  if (!track) return;
  const at = engine.audio.currentTime;
  if (hifiOn.value && t !== "ticket") {
    say("Hi-fi could not be played smoothly here, so this track goes on in standard quality.");
    void sound(false, at, true);
    return;
  }
  if (t === "slow") return; // hls.js goes on loading; the play button shows that it waits.
  const pause = renewalPauses[renewals++];
  if (t === "media" || pause === undefined) {
    giveUp(t === "media" ? "This browser could not play this track. Try another browser." : "The connection to the music broke. Press play to try again.");
    return;
  }
  const start = !engine.audio.paused;
  setTimeout(() => {
    if (current.value === track) void open(track, at, start);
  }, pause);
}

function onEnded(): void {
  if (hasNext.value) next();
}

export function next(): void {
  const t = list.value[place.value + 1];
  if (t) void play(t);
}

/** previous goes to the start of the track first, as players do. */
export function previous(): void {
  const t = list.value[place.value - 1];
  if (engine.audio.currentTime > 3 || !t) engine.seek(0);
  else void play(t);
}

/** toggle plays or pauses; with nothing chosen yet it starts the first track. */
export function toggle(): void {
  const t = current.value ?? list.value[0];
  if (!t) return;
  switch (engine.sound.value) {
    case "idle":
      void play(t);
      return;
    case "failed":
      trouble.value = "";
      renewals = 0;
      engine.sound.value = "loading";
      void open(t, engine.position.value, true);
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
  if (current.value) engine.seek(engine.audio.currentTime + seconds);
}

export function setVolume(v: number): void {
  volume.value = Math.min(1, Math.max(0, v));
  if (volume.value > 0) muted.value = false;
}

export function toggleMute(): void {
  if (muted.value && volume.value === 0) volume.value = 0.5;
  muted.value = !muted.value;
  announce(muted.value ? "Muted." : "Sound on.");
}

/** wantHifi switches the family of sound where the music is. */
export function wantHifi(on: boolean): void {
  hifiWanted.value = on;
  remember("hifi", on ? 1 : 0);
  announce(on ? "Hi-fi on." : "Hi-fi off.");
  if (!current.value || !ticket || on === hifiOn.value) return;
  const playing = engine.sound.value !== "paused" && engine.sound.value !== "ended";
  void sound(on, engine.audio.currentTime, playing);
}

/** silence stops everything, as when the listener signs out. */
export function silence(): void {
  asking++;
  engine.stop();
  current.value = undefined;
}

/** followMediaKeys serves headphones and lock screens until the returned function is called. */
export function followMediaKeys(): () => void {
  const session = navigator.mediaSession;
  if (!session) return () => undefined;
  const on = (action: MediaSessionAction, run: MediaSessionActionHandler | null) => {
    try {
      session.setActionHandler(action, run);
    } catch {
      // Not every browser knows every action.
    }
  };
  on("play", () => engine.sound.value !== "playing" && toggle());
  on("pause", () => engine.pause());
  on("previoustrack", previous);
  on("nexttrack", next);
  on("seekbackward", (d) => skip(-(d.seekOffset ?? 10)));
  on("seekforward", (d) => skip(d.seekOffset ?? 10));
  on("seekto", (d) => d.seekTime !== undefined && engine.seek(d.seekTime));
  const stops = [
    effect(() => {
      const t = current.value;
      session.metadata = t ? metadataOf(t) : null;
    }),
    effect(() => {
      session.playbackState = engine.sound.value === "playing" ? "playing" : current.value ? "paused" : "none";
    }),
    effect(() => {
      const duration = engine.duration.value;
      const position = Math.min(engine.position.value, duration);
      if (duration > 0) session.setPositionState?.({ duration, position, playbackRate: 1 });
    }),
  ];
  return () => stops.forEach((stop) => stop());
}

function metadataOf(t: Track): MediaMetadata {
  const cover = coverURL(t);
  return new MediaMetadata({
    title: nameOf(t),
    artist: t.artist,
    album: t.album,
    artwork: cover ? [{ src: new URL(cover, location.href).href }] : [],
  });
}
