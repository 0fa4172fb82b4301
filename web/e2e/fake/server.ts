import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import type { Duplicate, Features, Me, Quota, ReleaseOf, Stage, Track, UploadView } from "../../src/api/types";

/**
 * Fake answers like the API as far as the page sees it, so that tests can force
 * what a real server does rarely: slow lossless media, expired tickets, refusals,
 * broken uploads. It stores nothing.
 */
export interface Fake {
  url: string;
  me: Me;
  tracks: Track[];
  /** Bytes received per upload address. */
  uploads: Map<string, Upload>;
  /** How the next things go wrong. */
  faults: Faults;
  /** Answered for every track; absent: nobody has listened yet. */
  features?: Features;
  releases: ReleaseOf[];
  duplicates: Duplicate[];
  quota: Quota;
  close(): Promise<void>;
  /** change alters a track and tells it over /v1/events. */
  change(id: string, to: Partial<Track>): void;
}

export interface Upload {
  track: string;
  name: string;
  length: number;
  parts: Buffer[];
  got: number;
  gone: boolean;
  metadata: string;
  decided?: "both" | "discard";
}

export interface Faults {
  /** Milliseconds each FLAC segment takes. */
  flacDelay: number;
  /** Tickets issued so far are answered 410. */
  expireTickets: boolean;
  /** Segments are refused with this. */
  refuseMedia?: { status: number; code: string; detail: string };
  /** Connections cut in the middle of the next PATCH bodies. */
  cutPatches: number;
  /** POST /v1/uploads answers this refusal. */
  refuseUploads?: { status: number; code: string; detail: string };
  /** A finished upload is refused with this instead of published. */
  refuseTrack?: { code: string; text: string };
  /** A finished upload has the bytes of this track. */
  twin?: string;
  /** Bytes per second each upload may bring; 0 for all the machine can. */
  uploadRate: number;
  /** Milliseconds per pipeline stage. */
  stage: number;
  signedIn: boolean;
}

export const key = "mud_test_key";

interface Config {
  /** The built page. */
  dist: string;
  /** A folder made by sound.hls. */
  media: string;
  policy: string;
}

type Answer = (req: IncomingMessage, res: ServerResponse, path: string) => void | Promise<void>;

const kinds: Record<string, string> = {
  ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2",
  ".m3u8": "application/vnd.apple.mpegurl", ".mp4": "audio/mp4", ".m4s": "audio/mp4",
};

export async function startFake(config: Config): Promise<Fake> {
  const s = new FakeServer(config);
  await s.listen();
  return s;
}

class FakeServer implements Fake {
  url = "";
  me: Me = { user: "usr_1", name: "Ada", roles: ["creator", "listener"], tier: "premium" };
  tracks: Track[] = [];
  uploads = new Map<string, Upload>();
  faults: Faults = { flacDelay: 0, expireTickets: false, cutPatches: 0, uploadRate: 0, stage: 60, signedIn: true };
  features?: Features;
  releases: ReleaseOf[] = [];
  duplicates: Duplicate[] = [];
  plays = 7;
  told: string[] = [];
  quota: Quota = { bytes: { used: 0, reserved: 0 }, hours: { used: 0, reserved: 0 }, uploads_today: { used: 0, resets: "2026-11-02T00:00:00Z" } };
  #server: Server;
  #listeners = new Set<ServerResponse>();
  #config: Config;
  #ids = 0;
  #ticket = 1;
  #timers = new Set<ReturnType<typeof setTimeout>>();

  constructor(config: Config) {
    this.#config = config;
    this.#server = createServer((req, res) => {
      Promise.resolve(this.#answer(req, res)).catch(() => res.destroy());
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const t of this.#timers) clearTimeout(t);
    for (const l of this.#listeners) l.destroy();
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  change(id: string, to: Partial<Track>): void {
    this.tracks = this.tracks.map((t) => (t.id === id ? { ...t, ...to, updated: new Date().toISOString() } : t));
    const t = this.tracks.find((x) => x.id === id);
    if (t) for (const l of this.#listeners) l.write(`event: track\nid: ${Date.now()}\ndata: ${JSON.stringify(t)}\n\n`);
  }

  #answer(req: IncomingMessage, res: ServerResponse): void | Promise<void> {
    const path = new URL(req.url ?? "/", "http://fake").pathname;
    if (path.startsWith("/v1/") && path !== "/v1/session" && !this.faults.signedIn) {
      return problem(res, 401, "session.missing", "Sign in to go on.");
    }
    const route = `${req.method} ${path}`;
    const table: [RegExp, Answer][] = [
      [/^GET \/v1\/me$/, (_q, r) => json(r, 200, this.me)],
      [/^POST \/v1\/session$/, (q, r) => this.#signIn(q, r)],
      [/^DELETE \/v1\/session$/, (_q, r) => this.#signOut(r)],
      [/^GET \/v1\/tracks$/, (_q, r) => json(r, 200, { tracks: this.tracks, next: "" })],
      [/^GET \/v1\/catalog$/, (_q, r) => json(r, 200, { tracks: this.tracks.filter((t) => t.state === "published"), next: "" })],
      [/^GET \/v1\/albums$/, (_q, r) => json(r, 200, { albums: [] })],
      [/^GET \/v1\/events$/, (q, r) => this.#events(q, r)],
      [/^POST \/v1\/uploads$/, (q, r) => this.#create(q, r)],
      [/^GET \/v1\/quota$/, (_q, r) => json(r, 200, this.quota)],
      [/^GET \/v1\/tracks\/[^/]+\/features$/, (_q, r) => (this.features ? json(r, 200, this.features) : problem(r, 404, "features.not-yet", "Not yet."))],
      [/^GET \/v1\/tracks\/[^/]+\/releases$/, (_q, r) => json(r, 200, { releases: this.releases })],
      [/^POST \/v1\/tracks\/[^/]+\/releases\/[^/]+\/restore$/, (_q, r, p) => this.#restore(r, p)],
      [/^(GET|PUT) \/v1\/tracks\/[^/]+\/territories$/, (_q, r) => json(r, 200, { countries_known: true })],
      [/^GET \/v1\/tracks\/[^/]+\/duplicates$/, (_q, r) => json(r, 200, { duplicates: this.duplicates })],
      [/^POST \/v1\/tracks\/[^/]+\/duplicates\//, (_q, r, p) => this.#dismiss(r, p)],
      [/^GET \/v1\/uploads\/[^/]+$/, (_q, r, p) => this.#describe(r, p)],
      [/^POST \/v1\/uploads\/[^/]+\/decision$/, (q, r, p) => this.#decide(q, r, p)],
      [/^(HEAD|PATCH|DELETE) \/v1\/uploads\//, (q, r, p) => this.#upload(q, r, p)],
      [/^POST \/v1\/tracks\/[^/]+\/playback$/, (_q, r, p) => this.#playback(r, p)],
      [/^(GET|PATCH|DELETE) \/v1\/tracks\/[^/]+$/, (q, r, p) => this.#track(q, r, p)],
      [/^GET \/v1\/plays$/, (_q, r) => json(r, 200, { plays: this.tracks.map((t) => ({ track: t.id, plays: this.plays, days: [this.plays] })) })],
      [/^GET \/v1\/tracks\/[^/]+\/plays$/, (_q, r) => json(r, 200, this.#numbers())],
      [/^POST \/p\/.*\/events$/, (q, r) => this.#told(q, r)],
      [/^GET \/p\//, (_q, r, p) => this.#media(r, p)],
      [/^GET \/(?!v1\/)/, (_q, r, p) => this.#page(r, p)],
    ];
    const found = table.find(([pattern]) => pattern.test(route));
    return found ? found[1](req, res, path) : problem(res, 404, "not-found", "There is nothing here.");
  }

  async #signIn(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = JSON.parse((await read(req)).toString()) as { key?: string };
    if (body.key !== key) return problem(res, 401, "key.unknown", "This key is not known.");
    this.faults.signedIn = true;
    json(res, 200, this.me);
  }

  #signOut(res: ServerResponse): void {
    this.faults.signedIn = false;
    res.writeHead(204).end();
  }

  #events(req: IncomingMessage, res: ServerResponse): void {
    res.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    res.write(": hello\n\n");
    this.#listeners.add(res);
    req.on("close", () => this.#listeners.delete(res));
  }

  #create(req: IncomingMessage, res: ServerResponse): void {
    const refusal = this.faults.refuseUploads;
    if (refusal) return problem(res, refusal.status, refusal.code, refusal.detail);
    const meta = String(req.headers["upload-metadata"] ?? "");
    const name = Buffer.from(/filename ([^,]+)/.exec(meta)?.[1] ?? "", "base64").toString();
    const n = ++this.#ids;
    const track = `trk_up${n}`;
    this.uploads.set(`/v1/uploads/upl_${n}`, { track, name, length: Number(req.headers["upload-length"]), parts: [], got: 0, gone: false, metadata: meta });
    tus(res, 201, { Location: `/v1/uploads/upl_${n}`, "Melodyud-Track": track });
  }

  async #upload(req: IncomingMessage, res: ServerResponse, path: string): Promise<void> {
    const u = this.uploads.get(path);
    if (!u || u.gone) return problem(res, 404, "upload.unknown", "This upload has expired. Send the file again.");
    if (req.method === "DELETE") {
      u.gone = true;
      return tus(res, 204);
    }
    if (req.method === "HEAD") {
      return tus(res, 200, { "Upload-Offset": String(u.got), "Upload-Length": String(u.length), "Melodyud-Track": u.track, "Cache-Control": "no-store" });
    }
    if (Number(req.headers["upload-offset"]) !== u.got) return problem(res, 409, "upload.offset", "The upload goes on elsewhere.");
    await this.#take(req, u);
    tus(res, 204, { "Upload-Offset": String(u.got), "Melodyud-Track": u.track });
    if (u.got === u.length && !this.faults.twin) this.#receive(u);
  }

  #view(path: string, u: Upload): UploadView {
    const waits = this.faults.twin && !u.decided && u.got === u.length;
    const id = path.split("/")[3] ?? "";
    return waits ? { id, state: "duplicate", track: u.track, duplicate_of: this.faults.twin ?? "" } : { id, state: u.got === u.length ? "received" : "open", track: u.track };
  }

  #describe(res: ServerResponse, path: string): void {
    const u = this.uploads.get(path);
    if (!u || u.gone) return problem(res, 404, "upload.unknown", "This upload has expired.");
    json(res, 200, this.#view(path, u));
  }

  async #decide(req: IncomingMessage, res: ServerResponse, path: string): Promise<void> {
    const own = path.replace(/\/decision$/, "");
    const u = this.uploads.get(own);
    if (!u) return problem(res, 404, "upload.unknown", "This upload has expired.");
    u.decided = (JSON.parse((await read(req)).toString()) as { keep: "both" | "discard" }).keep;
    if (u.decided === "both") this.#receive(u);
    json(res, 200, this.#view(own, u));
  }

  #restore(res: ServerResponse, path: string): void {
    const [, , , id = "", , release = ""] = path.split("/");
    const found = this.releases.find((r) => r.id === release);
    if (!found) return problem(res, 404, "release.not-found", "No such release.");
    this.releases = this.releases.map((r) => ({ ...r, current: r.id === release }));
    this.change(id, { release: { id: found.id, number: found.number, duration_seconds: found.duration_seconds, published: found.published } });
    json(res, 200, this.tracks.find((t) => t.id === id));
  }

  #dismiss(res: ServerResponse, path: string): void {
    const other = path.split("/")[5] ?? "";
    this.duplicates = this.duplicates.map((d) => (d.track?.id === other ? { ...d, state: "dismissed" } : d));
    res.writeHead(204).end();
  }

  /** take keeps every byte that arrives, even when the connection is cut. */
  async #take(req: IncomingMessage, u: Upload): Promise<void> {
    const cut = this.faults.cutPatches > 0 ? this.faults.cutPatches-- : 0;
    let got = 0;
    for await (const chunk of req as AsyncIterable<Buffer>) {
      u.parts.push(chunk);
      u.got += chunk.length;
      got += chunk.length;
      if (cut && got > u.length / 3) req.socket.destroy();
      if (this.faults.uploadRate) await pause((chunk.length / this.faults.uploadRate) * 1000);
    }
  }

  #receive(u: Upload): void {
    const now = new Date().toISOString();
    const t = fakeTrack({ id: u.track, state: "received", title: "", file_name: u.name, created: now, updated: now, progress: { stage: "queued", percent: 0, attempt: 1 } });
    this.tracks = [t, ...this.tracks];
    this.change(t.id, {});
    const stages: Stage[] = ["validating", "rendering", "storing", "publishing"];
    const refusal = this.faults.refuseTrack;
    stages.forEach((stage, i) => this.#later(i + 0.5, () => this.change(t.id, { progress: { stage, percent: 50, attempt: 1 } })));
    this.#later(stages.length, () => this.change(t.id, refusal ? { state: "refused", refusal } : published(u.name)));
  }

  #later(stages: number, run: () => void): void {
    this.#timers.add(setTimeout(run, stages * this.faults.stage));
  }

  #numbers() {
    const total = { plays: this.plays, listeners: 1, completions: 0, skips: 0, early_skips: 0, hours: 0.1 };
    return { total, days: [{ date: "2026-11-01", ...total }] };
  }

  async #told(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = JSON.parse((await read(req)).toString()) as { events: { type: string }[] };
    this.told.push(...body.events.map((e) => e.type));
    res.writeHead(204).end();
  }

  #playback(res: ServerResponse, path: string): void {
    const id = path.split("/")[3] ?? "";
    if (!this.tracks.some((t) => t.id === id && t.state === "published")) return problem(res, 404, "track.unknown", "This track is not published.");
    if (this.faults.expireTickets) this.#ticket++;
    this.faults.expireTickets = false;
    const base = `/p/${this.#ticket}/${id}/rel_1`;
    const hifi = this.me.tier === "premium" ? { hifi_url: `${base}/hifi.m3u8` } : {};
    json(res, 200, { url: `${base}/index.m3u8`, ...hifi, dash_url: `${base}/manifest.mpd`, expires: new Date(Date.now() + 3600_000).toISOString(), session: "s", track: id });
  }

  async #track(req: IncomingMessage, res: ServerResponse, path: string): Promise<void> {
    const id = path.split("/")[3] ?? "";
    const t = this.tracks.find((x) => x.id === id);
    if (!t) return problem(res, 404, "track.unknown", "This track is gone.");
    if (req.method === "PATCH") this.change(id, JSON.parse((await read(req)).toString()) as Partial<Track>);
    if (req.method === "DELETE") {
      this.change(id, { state: "withdrawn" });
      this.tracks = this.tracks.filter((x) => x.id !== id);
      res.writeHead(204).end();
      return;
    }
    json(res, 200, this.tracks.find((x) => x.id === id));
  }

  async #media(res: ServerResponse, path: string): Promise<void> {
    const [, , ticket, , , ...rest] = path.split("/");
    const flac = rest[0] === "flac" && path.endsWith(".m4s");
    if (this.faults.expireTickets || Number(ticket) < this.#ticket) return problem(res, 410, "ticket.expired", "This link has expired.");
    const refusal = this.faults.refuseMedia;
    if (refusal && path.endsWith(".m4s")) return problem(res, refusal.status, refusal.code, refusal.detail);
    if (flac && this.faults.flacDelay) await pause(this.faults.flacDelay);
    await file(res, join(this.#config.media, normalize(`/${rest.join("/")}`)), {});
  }

  async #page(res: ServerResponse, path: string): Promise<void> {
    const name = extname(path) ? path : "/index.html";
    await file(res, join(this.#config.dist, normalize(name)), { "Content-Security-Policy": this.#config.policy });
  }
}

/** fakeTrack makes a track with everything that a test does not care about. */
export function fakeTrack(more: Partial<Track> = {}): Track {
  const now = "2026-11-01T12:00:00Z";
  return { id: "trk_1", state: "published", title: "Night Train", artist: "Ada", album: "", file_name: "a.wav", created: now, updated: now, cover: false, ...published("a.wav", "Night Train"), ...more };
}

function published(name: string, title = name.replace(/\.\w+$/, "")): Partial<Track> {
  return { state: "published", title, release: { id: "rel_1", number: 1, duration_seconds: 40, published: new Date().toISOString() }, progress: { stage: "done", percent: 100, attempt: 1 } };
}

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

async function read(req: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of req as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

function json(res: ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}

function problem(res: ServerResponse, status: number, code: string, detail: string): void {
  res.writeHead(status, { "Content-Type": "application/problem+json", "Tus-Resumable": "1.0.0" });
  res.end(JSON.stringify({ type: "about:blank", title: detail, status, code, detail }));
}

function tus(res: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  res.writeHead(status, { "Tus-Resumable": "1.0.0", ...headers }).end();
}

async function file(res: ServerResponse, path: string, headers: Record<string, string>): Promise<void> {
  try {
    const body = await readFile(path);
    res.writeHead(200, { "Content-Type": kinds[extname(path)] ?? "application/octet-stream", ...headers }).end(body);
  } catch {
    problem(res, 404, "not-found", "There is no such file.");
  }
}
