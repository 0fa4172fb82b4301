import { useState } from "preact/hooks";
import type { Names, Track } from "../api/types";
import { clock, nameOf } from "../ui/format";
import { announce } from "../ui/say";
import { change } from "./tracks";

/** Edit is the form of what a creator says of a track. */
export function Edit({ track }: { track: Track }) {
  const [typed, setTyped] = useState(() => formOf(track));
  const [busy, setBusy] = useState(false);
  const news = changesOf(track, typed);
  const put = (field: keyof Form) => (e: Event) => setTyped({ ...typed, [field]: (e.currentTarget as HTMLInputElement).value });
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    if (await change(track, news)) announce("Saved.");
    setBusy(false);
  };
  return (
    <form class="card edit" onSubmit={submit} aria-label={`Edit ${nameOf(track)}`}>
      <h2>Details</h2>
      <label class="field"><span>Title</span><input required maxLength={300} value={typed.title} onInput={put("title")} /></label>
      <label class="field"><span>Artist</span><input maxLength={300} value={typed.artist} onInput={put("artist")} /></label>
      <label class="field"><span>Album</span><input maxLength={300} value={typed.album} onInput={put("album")} /></label>
      <div class="edit-pair">
        <label class="field"><span>Disc</span><input inputMode="numeric" pattern="[0-9]{0,4}" value={typed.disc} onInput={put("disc")} /></label>
        <label class="field"><span>Track number</span><input inputMode="numeric" pattern="[0-9]{0,4}" value={typed.number} onInput={put("number")} /></label>
        {track.release && (
          <label class="field">
            <span>Preview from</span>
            <input placeholder="chosen by us" pattern="([0-9]+:)?[0-9]{1,5}([.][0-9]+)?|" title="Minutes and seconds, such as 1:02.5; empty: we choose" value={typed.preview} onInput={put("preview")} />
          </label>
        )}
      </div>
      <button type="submit" class="button primary" disabled={busy || Object.keys(news).length === 0}>{busy ? "Saving…" : "Save"}</button>
    </form>
  );
}

type Form = Record<"title" | "artist" | "album" | "disc" | "number" | "preview", string>;

function formOf(t: Track): Form {
  return {
    title: nameOf(t), artist: t.artist, album: t.album, disc: String(t.disc ?? ""), number: String(t.number ?? ""),
    preview: t.preview_start_seconds === undefined ? "" : exact(t.preview_start_seconds),
  };
}

/** exact writes seconds as 1:02.5. */
function exact(seconds: number): string {
  const rest = Math.round((seconds % 1) * 1000) / 1000;
  return clock(Math.floor(seconds)) + (rest > 0 ? String(rest).slice(1) : "");
}

/** secondsOf reads 1:02.5 or 62.5; nothing is -1, which leaves the choice to us. */
export function secondsOf(text: string): number {
  if (text.trim() === "") return -1;
  return text.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** changesOf lists what was typed anew. */
export function changesOf(t: Track, typed: Form): Names {
  const before = formOf(t);
  const news: Names = {};
  for (const field of ["title", "artist", "album"] as const) {
    if (typed[field].trim() !== before[field]) news[field] = typed[field].trim();
  }
  for (const field of ["disc", "number"] as const) {
    if (typed[field] !== before[field]) news[field] = Number(typed[field] || 0);
  }
  if (typed.preview !== before.preview) news.preview_start_seconds = secondsOf(typed.preview);
  return news;
}
