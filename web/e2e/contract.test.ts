import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { key, startFake } from "./fake/server";
import { startReal } from "./server";

// The fake is worth what it shares with the real server: both answer these alike.

interface Subject {
  url: string;
  key: string;
  close(): Promise<void>;
}

const subjects: Record<string, () => Promise<Subject>> = {
  fake: async () => {
    const fake = await startFake({ dist: "/nowhere", media: "/nowhere", policy: "" });
    fake.faults.signedIn = false;
    return { url: fake.url, key, close: () => fake.close() };
  },
  real: async () => {
    const real = await startReal();
    return { url: real.url, key: new URL(real.signIn).searchParams.get("key") ?? "", close: () => real.close() };
  },
};

const tus = { "Tus-Resumable": "1.0.0" };
const offset = { ...tus, "Content-Type": "application/offset+octet-stream" };
const metadata = `filename ${Buffer.from("song.wav").toString("base64")}`;

describe.each(Object.keys(subjects))("the %s server", (name) => {
  let s: Subject;
  let cookie = "";

  beforeAll(async () => {
    s = await subjects[name]!();
  });
  afterAll(() => s?.close());

  const ask = (method: string, path: string, headers: Record<string, string> = {}, body?: BodyInit) =>
    fetch(s.url + path, { method, headers: { ...headers, ...(cookie ? { Cookie: cookie } : {}) }, ...(body === undefined ? {} : { body }) });

  const problem = async (r: Response) => {
    expect(r.headers.get("Content-Type")).toContain("application/problem+json");
    return (await r.json()) as { status: number; code: string; detail: string };
  };

  test("turns strangers and wrong keys away with a problem", async () => {
    const me = await ask("GET", "/v1/me");
    expect(me.status).toBe(401);
    expect(await problem(me)).toMatchObject({ status: 401, code: expect.stringMatching(/^[a-z.-]+$/), detail: expect.stringMatching(/\.$/) });
    const wrong = await ask("POST", "/v1/session", { "Content-Type": "application/json" }, JSON.stringify({ key: "wrong" }));
    expect(wrong.status).toBe(401);
    await problem(wrong);
  });

  test("lets a key in and tells who it is", async () => {
    const r = await ask("POST", "/v1/session", { "Content-Type": "application/json" }, JSON.stringify({ key: s.key }));
    expect(r.ok).toBe(true);
    cookie = r.headers.get("Set-Cookie")?.split(";")[0] ?? "";
    const me = (await (await ask("GET", "/v1/me")).json()) as object;
    expect(me).toMatchObject({ user: expect.any(String), name: expect.any(String), tier: "premium" });
    expect(me).toHaveProperty("roles", expect.arrayContaining(["creator", "listener"]));
  });

  test("has empty lists at first", async () => {
    for (const path of ["/v1/tracks?limit=50", "/v1/catalog?limit=50"]) {
      const r = await ask("GET", path);
      expect([r.status, ((await r.json()) as { tracks: unknown[] }).tracks]).toEqual([200, []]);
    }
    const albums = await ask("GET", "/v1/albums?limit=50");
    expect([albums.status, ((await albums.json()) as { albums: unknown[] }).albums]).toEqual([200, []]);
  });

  test("knows no track that never was", async () => {
    for (const [method, path] of [["GET", ""], ["POST", "/playback"]] as const) {
      const r = await ask(method, `/v1/tracks/trk_01M806GD3EVQW5HJZWDXQHYHQ7${path}`);
      expect(r.status).toBe(404);
      await problem(r);
    }
  });

  test("takes an upload in pieces, names its track and forgets it on demand (TUS-2)", async () => {
    const made = await ask("POST", "/v1/uploads", { ...tus, "Upload-Length": "10", "Upload-Metadata": metadata });
    expect(made.status).toBe(201);
    expect(made.headers.get("Melodyud-Track")).toMatch(/^trk_/);
    const path = new URL(made.headers.get("Location") ?? "", s.url).pathname;
    const sent = await ask("PATCH", path, { ...offset, "Upload-Offset": "0" }, "12345");
    expect([sent.status, sent.headers.get("Upload-Offset")]).toEqual([204, "5"]);
    const head = await ask("HEAD", path, tus);
    expect([head.status, head.headers.get("Upload-Offset"), head.headers.get("Upload-Length")]).toEqual([200, "5", "10"]);
    expect((await ask("PATCH", path, { ...offset, "Upload-Offset": "0" }, "12345")).status).toBe(409);
    expect((await ask("DELETE", path, tus)).status).toBe(204);
    expect([404, 410]).toContain((await ask("HEAD", path, tus)).status);
  });

  test("tells a finished upload over the events", async () => {
    const stop = new AbortController();
    const events = await fetch(`${s.url}/v1/events`, { headers: cookie ? { Cookie: cookie } : {}, signal: stop.signal });
    expect(events.headers.get("Content-Type")).toContain("text/event-stream");
    const made = await ask("POST", "/v1/uploads", { ...tus, "Upload-Length": "5", "Upload-Metadata": metadata });
    await ask("PATCH", new URL(made.headers.get("Location") ?? "", s.url).pathname, { ...offset, "Upload-Offset": "0" }, "12345");
    const told = await firstTrack(events);
    stop.abort();
    expect(told).toMatchObject({ id: made.headers.get("Melodyud-Track"), state: expect.any(String), updated: expect.any(String), cover: false });
  });
});

/** firstTrack reads an event stream up to its first track. */
async function firstTrack(events: Response): Promise<unknown> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of events.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    const found = /^event: track\n(?:id: .*\n)?data: (.+)\n\n/m.exec(text);
    if (found) return JSON.parse(found[1] ?? "");
  }
  throw new Error(`the stream ended without a track:\n${text}`);
}
