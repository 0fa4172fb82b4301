import { effect } from "@preact/signals";
import { coverSizes, coverURL } from "../api/client";
import type { Track } from "../api/types";
import { nameOf } from "../ui/format";
import { later } from "../ui/later";
import { current, duration, engine, next, position, previous, seek, skip, toggle } from "./queue";

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
  on("seekto", (d) => d.seekTime !== undefined && seek(d.seekTime));
  const name = () => {
    const t = current.peek();
    session.metadata = t ? metadataOf(t) : null;
  };
  const state = () => {
    session.playbackState = engine.sound.peek() === "playing" ? "playing" : current.peek() ? "paused" : "none";
  };
  const place = () => {
    const length = duration.peek();
    if (length > 0) session.setPositionState?.({ duration: length, position: Math.min(position.peek(), length), playbackRate: 1 });
  };
  const stops = [
    effect(() => (void current.value, later(name))),
    effect(() => (void engine.sound.value, void current.value, later(state))),
    effect(() => (void duration.value, void position.value, later(place))),
  ];
  return () => stops.forEach((stop) => stop());
}

function metadataOf(t: Track): MediaMetadata {
  return new MediaMetadata({
    title: nameOf(t),
    artist: t.artist,
    album: t.album,
    artwork: t.cover ? coverSizes.map((s) => ({ src: new URL(coverURL(t, s)!, location.href).href, sizes: `${s}x${s}`, type: "image/jpeg" })) : [],
  });
}
