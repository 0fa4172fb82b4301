import { signal } from "@preact/signals";
import type { Track } from "../api/types";

// What the listener lined up to hear next, before the list goes on. It is kept in
// this browser.

const where = "melodyud.line";
/** More than anybody orders by hand, and less than storage holds. */
const most = 200;

export const line = signal<Track[]>(kept());

function kept(): Track[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(where) ?? "[]");
    return Array.isArray(found) ? found.filter((t): t is Track => typeof t?.id === "string").slice(0, most) : [];
  } catch {
    return [];
  }
}

function put(all: Track[]): void {
  line.value = all.slice(0, most);
  try {
    localStorage.setItem(where, JSON.stringify(line.value));
  } catch {
    // Then it lasts as long as the page.
  }
}

/** addNext puts a track in front of the line. */
export function addNext(t: Track): void {
  put([t, ...line.value]);
}

/** addLast puts a track at the end of the line. */
export function addLast(t: Track): void {
  put([...line.value, t]);
}

/** remove takes the track at a place out of the line, and returns it. */
export function remove(at: number): Track | undefined {
  const gone = line.value[at];
  put(line.value.filter((_, i) => i !== at));
  return gone;
}

/** move brings the track at a place to another one. */
export function move(from: number, to: number): void {
  const all = [...line.value];
  const [t] = all.splice(from, 1);
  if (!t || to < 0 || to > all.length) return;
  all.splice(to, 0, t);
  put(all);
}

/** clear empties the line. */
export function clear(): void {
  put([]);
}
