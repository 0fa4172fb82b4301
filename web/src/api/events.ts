import type { Track } from "./types";

export type Link = "connecting" | "live" | "lost";

interface Watcher {
  onTrack: (t: Track) => void;
  /** Called at every (re)connection: facts told meanwhile were missed, so load the list again. */
  onOpen: () => void;
  onLink: (state: Link) => void;
}

const firstPause = 1_000;
const longestPause = 30_000;

/**
 * watchTracks follows GET /v1/events until the returned function is called. The
 * browser reconnects by itself after a cut connection but gives up for good at an
 * answer other than 200 (a restart behind a proxy); then this tries again, with
 * pauses growing to half a minute.
 */
export function watchTracks(w: Watcher): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pause = firstPause;
  let stopped = false;

  const open = () => {
    if (stopped) return;
    w.onLink("connecting");
    source = new EventSource("/v1/events");
    source.onopen = () => {
      pause = firstPause;
      w.onLink("live");
      w.onOpen();
    };
    source.addEventListener("track", (e) => {
      const t = parseTrack((e as MessageEvent<string>).data);
      if (t) w.onTrack(t);
    });
    source.onerror = () => {
      w.onLink("lost");
      if (source?.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(open, pause);
      pause = Math.min(pause * 2, longestPause);
    };
  };
  open();
  return () => {
    stopped = true;
    clearTimeout(timer);
    source?.close();
  };
}

/** parseTrack returns undefined for anything that is not a track. */
export function parseTrack(data: string): Track | undefined {
  try {
    const t = JSON.parse(data) as Partial<Track> | null;
    return t && typeof t.id === "string" && typeof t.state === "string" ? (t as Track) : undefined;
  } catch {
    return undefined;
  }
}
