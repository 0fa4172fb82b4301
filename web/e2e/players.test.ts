import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, test, type ExpectStatic } from "vitest";
import { launch } from "./browser";
import { drive, type Drive, type Driven } from "./drive";
import { bundle } from "./ours";
import { firefox, scripts, startLab, withFirefox, type Lab } from "./lab";
import { startReal, upload, type Real } from "./server";
import { wav } from "./sound";

// Players that others have written play what we publish: HLS and DASH of one track,
// every rendition following every other at a boundary.

const ladder = ["aac-64", "aac-96", "aac-160", "flac"]; // in order of bandwidth
const aac = ladder.slice(0, 3);
const seconds = 18.5; // segments of 1, 1, 2, 4, 4, 4 and 2.5 s: as many as tours of three are long
const lossless = [0, 3, 1, 3, 2, 3, 0]; // from every AAC rendition to FLAC and from FLAC to every one
let ours: string; // of our page, for hls.js.
let browser: Browser;
let server: Real;
let lab: Lab;
let dir: string;
let track: { hls: string; hifi: string; dash: string; duration: number };

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "melodyud-players-"));
  ours = await bundle();
  browser = await launch();
  server = await startReal(["--ladder", ladder.join(",")]);
  lab = await startLab();
  const file = join(dir, "tour.wav");
  await writeFile(file, wav(seconds, 3));
  const [id] = await upload(server, file);
  const p = (await server.ask("POST", `/v1/tracks/${id}/playback`)) as { url: string; hifi_url: string; dash_url: string; track: { release: { duration_seconds: number } } };
  track = { hls: server.url + p.url, hifi: server.url + p.hifi_url, dash: server.url + p.dash_url, duration: p.track.release.duration_seconds };
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
  await lab?.close();
  await rm(dir, { recursive: true, force: true });
});

/** tour visits n renditions so that each follows each other one once: 0 1 0 2 1 2 0. */
function tour(n: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) out.push(i, j);
  return [...out, 0];
}

async function inChromium(job: Drive): Promise<Driven> {
  const page = await browser.newPage();
  try {
    const { url, result } = lab.page([scripts[job.player]], drive, job, ours);
    await page.goto(url);
    return await result;
  } finally {
    await page.close();
  }
}

/** holds: one range from 0 to the end within a millisecond, no error, no stop for want of data (standards 2.8.4). */
function holds(seen: Driven, expect: ExpectStatic, tolerance = 0.001): void {
  expect(seen.errors).toEqual([]);
  expect(seen.waits.filter((w) => w.ready < 0.25)).toEqual([]);
  expect(seen.buffered).toHaveLength(1);
  const [from, to] = seen.buffered[0]!;
  expect(Math.abs(from)).toBeLessThan(tolerance);
  expect(Math.abs(to - track.duration)).toBeLessThan(tolerance);
}

/** follows: each segment was asked for once, in the rendition of its turn. */
function follows(seen: Driven, order: number[], expect: ExpectStatic): void {
  expect(seen.numbers).toEqual(order.map((_, i) => i));
  expect(seen.asked).toEqual(order.map((i) => ladder[i]));
}

/** pairs are the changes from one rendition to another, without doubles. */
const pairs = (asked: string[]) => [...new Set(asked.slice(1).map((to, i) => `${asked[i]}>${to}`).filter((p) => p.split(">")[0] !== p.split(">")[1]))].sort();

const crossings = (names: string[]) => names.flatMap((a) => names.filter((b) => b !== a).map((b) => `${a}>${b}`)).sort();

/** both are the changes from each AAC rendition to FLAC and back. */
const both = aac.flatMap((a) => [`${a}>flac`, `flac>${a}`]).sort();

// All play at the same time: a test lasts as long as its music. A busy machine may
// stop any player once; a fault of ours stops it again.
describe.concurrent("all at once", { retry: 1 }, () => {
  test("hls.js changes between all renditions of AAC", async ({ expect }) => {
    const seen = await inChromium({ player: "hls", url: track.hls, order: tour(3) });
    holds(seen, expect);
    expect(pairs(seen.asked)).toEqual(crossings(aac));
  });
  test("hls.js as our page makes it changes between AAC and FLAC", async ({ expect }) => {
    const seen = await inChromium({ player: "hls", url: track.hifi, order: lossless, ours: true });
    holds(seen, expect);
    expect(pairs(seen.asked)).toEqual(both);
  });
  test("hls.js plays FLAC", async ({ expect }) => {
    const seen = await inChromium({ player: "hls", url: track.hifi, order: Array<number>(8).fill(3) });
    holds(seen, expect);
    expect(new Set(seen.asked)).toEqual(new Set(["flac"]));
  });
  test("shaka-player changes between renditions of AAC in HLS", async ({ expect }) => {
    const seen = await inChromium({ player: "shaka", url: track.hls, order: tour(3) });
    // In HLS it places a rendition by the decode time of the first segment it loads of it, and knows no edit list:
    // one that is first met in mid-track comes early by the priming, 1024 samples (GAP-7).
    holds(seen, expect, 0.001 + 1024 / 44_100);
    expect(new Set(seen.asked)).toEqual(new Set(aac));
  });
  test("shaka-player changes between AAC and FLAC in DASH", async ({ expect }) => {
    const seen = await inChromium({ player: "shaka", url: track.dash, order: lossless });
    holds(seen, expect);
    expect(seen.levels).toHaveLength(4);
    expect(new Set(seen.asked)).toEqual(new Set(ladder));
  });
  test("dash.js changes between renditions of AAC", async ({ expect }) => {
    const seen = await inChromium({ player: "dash", url: track.dash, order: tour(3) });
    holds(seen, expect);
    follows(seen, tour(3), expect);
  });
  test("dash.js changes between AAC and FLAC", async ({ expect }) => {
    const seen = await inChromium({ player: "dash", url: track.dash, order: lossless });
    holds(seen, expect);
    expect(seen.levels).toHaveLength(4);
    follows(seen, lossless, expect);
  });
  test.skipIf(!firefox)("in Firefox, hls.js changes between all renditions of AAC", async ({ expect }) => {
    const { url, result } = lab.page([scripts.hls], drive, { player: "hls", url: track.hls, order: tour(3), graph: true });
    const seen = await withFirefox(url, () => result);
    holds(seen, expect);
    expect(pairs(seen.asked)).toEqual(crossings(aac));
  });
  test.skipIf(!firefox)("in Firefox, hls.js as our page makes it changes between AAC and FLAC", async ({ expect }) => {
    const { url, result } = lab.page([scripts.hls], drive, { player: "hls", url: track.hifi, order: lossless, graph: true, ours: true }, ours);
    const seen = await withFirefox(url, () => result);
    holds(seen, expect);
    expect(pairs(seen.asked)).toEqual(both);
  });
});
