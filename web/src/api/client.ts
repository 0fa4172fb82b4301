import type {
  AlbumLoudness, AlbumPage, Duplicate, Features, ListPlayback, Me, Names, PlayCount, Playback, Plays, Problem, Quota, ReleaseOf, Renewal, Territories, Track, TrackPage, UploadView,
} from "./types";

/** ApiError is an answer other than success, told as a sentence for people. */
export class ApiError extends Error {
  constructor(
    /** 0 when no answer arrived at all. */
    readonly status: number,
    /** Stable, for programs and support; shown small beside the sentence. */
    readonly code: string,
    sentence: string,
    readonly incident = "",
  ) {
    super(sentence);
    this.name = "ApiError";
  }
}

const sentences: Record<number, string> = {
  401: "You are signed out. Sign in again to go on.",
  403: "Your account may not do this.",
  404: "This is no longer here.",
  409: "Somebody changed this at the same moment. Reload and try again.",
  413: "This file is larger than the server accepts.",
  429: "That was a lot at once. Wait a moment, then try again.",
  503: "The server is busy or restarting. Try again in a moment.",
};

/** problemToError reads an RFC 9457 body; anything unreadable gets a sentence by status. */
export function problemToError(status: number, body: string): ApiError {
  let problem: Problem = {};
  try {
    const parsed: unknown = JSON.parse(body);
    if (parsed && typeof parsed === "object") problem = parsed as Problem;
  } catch {
    // A proxy's HTML page, or nothing: the status alone has to do.
  }
  const fallback = sentences[status] ?? (status >= 500
    ? "Something went wrong on the server. It was noted; try again in a moment."
    : "The server did not accept this.");
  return new ApiError(
    status,
    problem.code ?? `http.${status}`,
    problem.detail || fallback,
    problem.incident ?? "",
  );
}

/** sentence turns anything thrown into words a person can act on. */
export function sentence(err: unknown): string {
  if (err instanceof ApiError) return err.message;
  return "Something unexpected happened in this page. Reload it and try again.";
}

/** Listeners are told whenever an answer says that the session is over. */
let onSignedOut: () => void = () => {};
export function whenSignedOut(tell: () => void): void {
  onSignedOut = tell;
}

async function call(method: string, path: string, body?: unknown): Promise<Response> {
  const init: RequestInit = { method, headers: { Accept: "application/json" }, cache: "no-store" };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { ...init.headers, "Content-Type": "application/json" };
  }
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch {
    throw new ApiError(0, "network.unreachable", "The server cannot be reached. Check your connection and try again.");
  }
  if (answer.ok) return answer;
  if (answer.status === 401 && path !== "/v1/session") onSignedOut();
  throw problemToError(answer.status, await answer.text().catch(() => ""));
}

async function json<T>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await call(method, path, body);
  return (await answer.json()) as T;
}

const track = (id: string) => `/v1/tracks/${encodeURIComponent(id)}`;

function page(path: string, cursor?: string): Promise<TrackPage> {
  const query = new URLSearchParams({ limit: "50" });
  if (cursor) query.set("cursor", cursor);
  return json<TrackPage>("GET", `${path}?${query}`);
}

/** What a player says of itself when it asks for a playback. */
interface Wish {
  hifi: boolean;
  /** Bits per second. */
  bandwidth: number;
  device: string;
}

const inline = (w: Wish) => `inline=true&hifi=${w.hifi}&bandwidth=${Math.round(w.bandwidth)}&device=${w.device}`;

export const api = {
  me: () => json<Me>("GET", "/v1/me"),
  signIn: (key: string) => call("POST", "/v1/session", { key }),
  signOut: () => call("DELETE", "/v1/session"),
  ownTracks: (cursor?: string) => page("/v1/tracks", cursor),
  catalog: (cursor?: string) => page("/v1/catalog", cursor),
  track: (id: string) => json<Track>("GET", track(id)),
  change: (id: string, to: Names) => json<Track>("PATCH", track(id), to),
  remove: (id: string) => call("DELETE", track(id)),
  playback: (id: string) => json<Playback>("POST", `${track(id)}/playback`),
  /** With what the player needs first, in one answer. */
  playbackNow: (id: string, wish: Wish) => json<Playback>("POST", `${track(id)}/playback?${inline(wish)}`),
  renew: (url: string) => json<Renewal>("POST", "/v1/playback/renew", { url }),
  albumLoudness: (id: string) => json<AlbumLoudness>("GET", `/v1/albums/${encodeURIComponent(id)}/loudness`),
  albums: () => json<AlbumPage>("GET", "/v1/albums?limit=50"),
  albumPlayback: (id: string, wish: Wish) => json<ListPlayback>("POST", `/v1/albums/${encodeURIComponent(id)}/playback?${inline(wish)}`),
  features: (id: string) => json<Features>("GET", `${track(id)}/features`),
  territories: (id: string) => json<Territories>("GET", `${track(id)}/territories`),
  setTerritories: (id: string, rule: Pick<Territories, "only" | "except">) => json<Territories>("PUT", `${track(id)}/territories`, rule),
  releases: async (id: string) => (await json<{ releases: ReleaseOf[] | null }>("GET", `${track(id)}/releases`)).releases ?? [],
  restore: (id: string, release: string) => json<Track>("POST", `${track(id)}/releases/${encodeURIComponent(release)}/restore`),
  duplicates: async (id: string) => (await json<{ duplicates: Duplicate[] | null }>("GET", `${track(id)}/duplicates`)).duplicates ?? [],
  dismiss: (id: string, other: string) => call("POST", `${track(id)}/duplicates/${encodeURIComponent(other)}`),
  plays: (id: string) => json<Plays>("GET", `${track(id)}/plays`),
  playCounts: async (ids: string[]) => (await json<{ plays: PlayCount[] }>("GET", `/v1/plays?tracks=${ids.join(",")}`)).plays,
  quota: () => json<Quota>("GET", "/v1/quota"),
  upload: (url: string) => json<UploadView>("GET", new URL(url, location.href).pathname),
  decide: (url: string, keep: "both" | "discard") => json<UploadView>("POST", `${new URL(url, location.href).pathname}/decision`, { keep }),
  waveform: async (id: string) => (await call("GET", `${track(id)}/waveform?format=dat`)).arrayBuffer(),
};

/** The longest sides of the pictures there are of a cover, in pixels. */
export const coverSizes = [150, 600, 1200] as const;

/** coverURL names a track's picture of a size; `v` makes a changed picture a new address. */
export function coverURL(t: Track, size: (typeof coverSizes)[number] = 600): string | undefined {
  return t.cover ? `${track(t.id)}/cover?size=${size}&v=${encodeURIComponent(t.release?.id ?? t.updated)}` : undefined;
}
