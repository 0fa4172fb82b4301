import { effect } from "@preact/signals";
import { coverSizes, coverURL } from "../api/client";
import type { Track } from "../api/types";
import { nameOf } from "../ui/format";
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
  const stops = [
    effect(() => {
      const t = current.value;
      session.metadata = t ? metadataOf(t) : null;
    }),
    effect(() => {
      session.playbackState = engine.sound.value === "playing" ? "playing" : current.value ? "paused" : "none";
    }),
    effect(() => {
      const length = duration.value;
      if (length > 0) session.setPositionState?.({ duration: length, position: Math.min(position.value, length), playbackRate: 1 });
    }),
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
