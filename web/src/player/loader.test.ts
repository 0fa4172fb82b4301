import { afterEach, expect, test, vi } from "vitest";
import { loadersFor, type Desk, type Refusal, type Seen } from "./loader";
import { Memory } from "./memory";

const here = "https://music.example/";
const url = `${here}p/t/trk/rel/flac/s/0.m4s`;

vi.stubGlobal("location", { href: here });

afterEach(() => {
  vi.useRealTimers();
});

interface Desks extends Desk {
  seen: Seen[];
  refusals: Refusal[];
}

function desk(more: Partial<Desk> = {}): Desks {
  const d = { memory: undefined, seen: [] as Seen[], refusals: [] as Refusal[], hurry: () => true, bandwidth: () => 1e6, moved: (u: string) => u };
  return { ...d, saw: (s) => d.seen.push(s), refused: (r) => d.refusals.push(r), ...more };
}

/** load runs a fragment loader and tells what it told hls.js. */
async function load(d: Desk, policy = { maxTimeToFirstByteMs: 1000, maxLoadTimeMs: 2000 }) {
  class Plain {}
  const { fLoader } = loadersFor({ DefaultConfig: { loader: Plain } } as never, d);
  const loader = new (fLoader as never as new () => { load(...a: unknown[]): void; stats: { loaded: number; aborted: boolean } })();
  const told: string[] = [];
  let body = "";
  await new Promise<void>((done) => {
    const end = (what: string) => () => {
      told.push(what);
      done();
    };
    loader.load({ url, frag: { duration: 4, encrypted: false }, rangeStart: 0, rangeEnd: 0 }, { loadPolicy: policy }, {
      onProgress: (_s: unknown, _c: unknown, data: ArrayBuffer) => {
        body += new TextDecoder().decode(data);
      },
      onSuccess: end("success"), onTimeout: end("timeout"),
      onError: ({ code }: { code: number }) => end(`error ${code}`)(),
    });
  });
  return { told, body, loaded: loader.stats.loaded };
}

const asks: { url: string; range: string | null }[] = [];
function answer(status: number, body: string, headers: Record<string, string> = {}): void {
  asks.length = 0;
  vi.stubGlobal("fetch", async (to: string, init: RequestInit) => {
    asks.push({ url: to, range: new Headers(init.headers).get("Range") });
    return new Response(body, { status, headers });
  });
}

const head = (size: number) => Memory.of("/p/t/trk/rel/hifi.m3u8", [{ path: "flac/s/0.m4s", data: btoa("begin"), size }], here);

test("the rest of a segment is asked for where its beginning is known", async () => {
  answer(206, "ning", { "Cache-Status": "melodyud-edge; hit", "Server-Timing": "edge;dur=0.1" });
  const d = desk({ memory: head(9) });
  expect(await load(d)).toEqual({ told: ["success"], body: "beginning", loaded: 4 });
  expect(asks).toEqual([{ url, range: "bytes=5-" }]);
  expect(d.seen).toMatchObject([{ url, cache: "melodyud-edge; hit", timing: "edge;dur=0.1", bytes: 4 }]);
});

test("a server that sends all of it again does no harm", async () => {
  answer(200, "beginning");
  expect((await load(desk({ memory: head(9) }))).body).toBe("beginning");
});

test("what is known whole is not asked for", async () => {
  answer(500, "");
  expect(await load(desk({ memory: head(5) }))).toEqual({ told: ["success"], body: "begin", loaded: 5 });
  expect(asks).toEqual([]);
});

test("a renewed ticket's address is asked", async () => {
  answer(200, "sound");
  await load(desk({ moved: (u) => u.replace("/p/t/", "/p/u/") }));
  expect(asks[0]?.url).toBe(`${here}p/u/trk/rel/flac/s/0.m4s`);
});

test("what the edge refuses is told with its reason", async () => {
  answer(403, JSON.stringify({ code: "playback.too-many-streams", detail: "Stop the music elsewhere first." }));
  const d = desk();
  expect((await load(d)).told).toEqual(["error 403"]);
  expect(d.refusals).toEqual([{ status: 403, code: "playback.too-many-streams", text: "Stop the music elsewhere first." }]);
});

test("a connection that breaks is an error, and one that hangs a timeout", async () => {
  vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("network")));
  expect((await load(desk())).told).toEqual(["error 0"]);
  vi.useFakeTimers();
  vi.stubGlobal("fetch", (_u: string, { signal }: RequestInit) => new Promise((_done, lost) => signal?.addEventListener("abort", () => lost(signal.reason))));
  const late = load(desk());
  await vi.advanceTimersByTimeAsync(1001);
  expect((await late).told).toEqual(["timeout"]);
});
