import { computed, signal } from "@preact/signals";
import { api, sentence } from "../api/client";
import { watchTracks, type Link } from "../api/events";
import type { Names, Stage, Track } from "../api/types";
import { announce, say } from "../ui/say";
import { nameOf } from "../ui/format";

// The creator's own tracks: loaded once, then kept true by GET /v1/events.

const byID = signal<ReadonlyMap<string, Track>>(new Map());
/** Tracks whose deletion waits for its chance to be undone. */
const leaving = signal<ReadonlySet<string>>(new Set());

export const loading = signal(true);
export const wrong = signal("");
export const link = signal<Link>("connecting");
export const more = signal("");

export const tracks = computed(() =>
  [...byID.value.values()]
    .filter((t) => t.state !== "withdrawn" && !leaving.value.has(t.id))
    .sort((a, b) => b.created.localeCompare(a.created) || b.id.localeCompare(a.id)),
);

const stages: Stage[] = ["queued", "validating", "rendering", "storing", "publishing", "done"];

/** standing orders what may be told of a track within the same millisecond. */
const standing = (t: Track) => (t.state === "received" ? stages.indexOf(t.progress?.stage ?? "queued") : stages.length);

/** older says whether news of a track, which may come late, is behind what is known. */
function older(news: Track, known: Track): boolean {
  // Not compared as text: 10:00:00Z is older than 10:00:00.5Z but sorts after it.
  const by = Date.parse(news.updated) - Date.parse(known.updated);
  return by < 0 || (by === 0 && standing(news) < standing(known));
}

/** merge takes newer news of tracks and drops older. */
export function merge(known: ReadonlyMap<string, Track>, news: readonly Track[]): Map<string, Track> {
  const merged = new Map(known);
  for (const t of news) {
    const old = merged.get(t.id);
    if (!old || !older(t, old)) merged.set(t.id, t);
  }
  return merged;
}

/** learn makes a track that an answer brought known. */
export function learn(t: Track): void {
  byID.value = merge(byID.value, [t]);
}

export const known = (id: string) => byID.value.has(id);

export async function load(cursor?: string): Promise<void> {
  try {
    const page = await api.ownTracks(cursor);
    byID.value = merge(byID.value, page.tracks ?? []);
    if (cursor || byID.value.size <= (page.tracks?.length ?? 0)) more.value = page.next ?? "";
    wrong.value = "";
  } catch (err) {
    wrong.value = sentence(err);
  } finally {
    loading.value = false;
  }
}

/** follow keeps the list true until the returned function is called. */
export function follow(): () => void {
  void load();
  let first = true;
  return watchTracks({
    onTrack: take,
    onLink: (state) => {
      link.value = state;
    },
    onOpen: () => {
      if (!first) void load();
      first = false;
    },
  });
}

function take(t: Track): void {
  const before = byID.value.get(t.id);
  learn(t);
  if (!before || before.state === t.state) return;
  if (t.state === "published") announce(`${nameOf(t)} is published.`);
  if (t.state === "refused") announce(`${nameOf(t)} was refused. ${t.refusal?.text ?? ""}`);
}

/** fetchOne makes sure a track is on the list, should its event not have come. */
export async function fetchOne(id: string): Promise<void> {
  if (!id) return load();
  try {
    learn(await api.track(id));
  } catch {
    // The event or the next load brings it.
  }
}

/** change stores what a creator types of a track; false when the server said no. */
export async function change(t: Track, to: Names): Promise<boolean> {
  try {
    learn(await api.change(t.id, to));
    return true;
  } catch (err) {
    say(sentence(err), { tone: "bad" });
    return false;
  }
}

const graceSeconds = 7;

/** remove hides a track at once and deletes it after a few seconds, unless undone. */
export function remove(t: Track): void {
  const hide = (on: boolean) => {
    const next = new Set(leaving.value);
    if (on) next.add(t.id);
    else next.delete(t.id);
    leaving.value = next;
  };
  hide(true);
  const timer = setTimeout(() => void reallyRemove(t, () => hide(false)), graceSeconds * 1000);
  const undo = () => {
    clearTimeout(timer);
    hide(false);
    announce(`${nameOf(t)} is kept.`);
  };
  say(`“${nameOf(t)}” will be deleted.`, { seconds: graceSeconds - 0.5, action: { label: "Undo", run: undo } });
}

async function reallyRemove(t: Track, show: () => void): Promise<void> {
  try {
    await api.remove(t.id);
    const next = new Map(byID.value);
    next.delete(t.id);
    byID.value = next;
  } catch (err) {
    say(sentence(err), { tone: "bad" });
  }
  show();
}
