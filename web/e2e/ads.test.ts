import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, playing, reached, visit, type Visit } from "./browser";
import { startReal, upload, type Real } from "./server";
import { wav } from "./sound";

// House ads as a listener meets them: before the music, never skipped, never in its way.

let browser: Browser;
let server: Real;
let dir: string;
let long: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "melodyud-ads-"));
  browser = await launch();
  server = await startReal(["--ad-gap", "10s", "--ad-tracks", "1", "--ladder", "aac-96"]);
  const files = { "Long Song.wav": 12, "Other Song.wav": 11, "Spot.wav": 2 };
  for (const [name, seconds] of Object.entries(files)) await writeFile(join(dir, name), wav(seconds, seconds));
  const ids = await upload(server, ...Object.keys(files).map((name) => join(dir, name)));
  long = ids[0] ?? "";
  for (const [i, id] of ids.slice(0, 2).entries()) await server.ask("PATCH", `/v1/tracks/${id}`, { album: "Harbour", number: i + 1 });
  const spot = { track: ids[2], title: "Strings that last", advertiser: "Vale Guitars" };
  for (let i = 0; i < 100; i++) {
    const ad = (await server.ask("POST", "/v1/ads", spot)) as { status: string };
    if (ad.status === "ready") break;
    await new Promise((done) => setTimeout(done, 300));
  }
  // The edge has heard of it.
  for (let i = 0; i < 100; i++) {
    const who = await listener("free");
    if ((await breakOf(who, long)) > 0) return;
    await new Promise((done) => setTimeout(done, 300));
  }
  throw new Error("the ad never became ready");
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
  await rm(dir, { recursive: true, force: true });
});

async function listener(tier: "free" | "premium"): Promise<string> {
  const key = (await server.ask("POST", "/v1/ops/keys", { name: "Lisa", roles: ["listener"], tier })) as { secret: string };
  return key.secret;
}

/** breakOf returns how many ads a listener would hear before a track. */
async function breakOf(key: string, track: string): Promise<number> {
  const answer = await fetch(`${server.url}/v1/tracks/${track}/playback`, { method: "POST", headers: { Authorization: `Bearer ${key}` } });
  const { url } = (await answer.json()) as { url: string };
  const list = await fetch(new URL("ads/breaks/pre", new URL(url, server.url)));
  return ((await list.json()) as { ASSETS: unknown[] }).ASSETS.length;
}

interface Room extends Visit {
  key: string;
  /** What the page told of ads. */
  told: string[];
}

async function enter(tier: "free" | "premium"): Promise<Room> {
  const key = await listener(tier);
  const here = await visit(browser, `${server.url}/signin?key=${key}`);
  const told: string[] = [];
  here.page.setDefaultTimeout(30_000);
  here.page.on("request", (r) => {
    if (!r.url().endsWith("/events") || r.method() !== "POST") return;
    const { events } = r.postDataJSON() as { events: { type: string; ad?: string; break?: string; quartile?: number }[] };
    for (const e of events) if (e.type.startsWith("ad-")) told.push(e.type + (e.quartile ?? ""));
  });
  return { ...here, key, told };
}

test("a free listener hears an ad before the music, once, and cannot skip it", async () => {
  const { page, key, told, complaints, context } = await enter("free");
  await page.getByRole("button", { name: "Play Long Song" }).click();
  const dock = page.getByRole("region", { name: "Player" });
  await dock.getByText(/^Advertisement, [12] s$/).waitFor();
  expect(await dock.textContent()).toContain("Vale Guitars: Strings that last");
  expect(await dock.getByRole("button", { name: "Next track" }).isDisabled()).toBe(true);
  expect(await dock.getByRole("slider", { name: "Position" }).isDisabled()).toBe(true);
  await reached(page, 0.5);
  await page.keyboard.press("n");
  await page.keyboard.press("ArrowRight");
  expect((await playing(page)).time).toBeLessThan(2.5);
  await dock.getByText("Long Song").waitFor();
  await reached(page, 1.5);
  const music = await playing(page);
  expect(music.duration).toBeCloseTo(12, 0);
  expect(music.time).toBeLessThan(10);
  expect(await page.locator("[data-track]", { hasText: "Spot" }).count()).toBe(0);
  // The next track has none: the last break was just now.
  await expect.poll(() => breakOf(key, long), { timeout: 20_000 }).toBe(0);
  await page.getByRole("button", { name: "Play Other Song" }).click();
  await dock.getByText("Other Song").waitFor();
  await reached(page, 1);
  expect((await playing(page)).duration).toBeCloseTo(11, 0);
  await expect.poll(() => told, { timeout: 20_000 }).toEqual(["ad-impression", "ad-quartile1", "ad-quartile2", "ad-quartile3", "ad-completed"]);
  expect(complaints).toEqual([]);
  await context.close();
});

test("premium listeners hear none", async () => {
  const { page, told, complaints, context } = await enter("premium");
  const asked: string[] = [];
  page.on("request", (r) => r.url().includes("/ads/") && asked.push(r.url()));
  await page.getByRole("button", { name: "Play Long Song" }).click();
  await reached(page, 1);
  expect((await playing(page)).duration).toBeCloseTo(12, 0);
  expect([asked, told, complaints]).toEqual([[], [], []]);
  await context.close();
});

test("music starts at once when an ad or its list is missing", async () => {
  const { page, told, context } = await enter("free");
  let answer = {};
  await page.route("**/ads/breaks/**", (r) => r.fulfill(answer));
  const gone = { URI: `${server.url}/p/none/trk_1/rel_1/index.m3u8`, DURATION: 4, "X-AD": "trk_1" };
  const answers = [{ status: 404, body: "{}" }, { json: { ASSETS: [] } }, { body: "<html>" }, { json: { ASSETS: [gone] } }];
  for (const [i, one] of answers.entries()) {
    answer = one;
    const [name, length] = i % 2 ? ["Other Song", 11] : ["Long Song", 12];
    await page.getByRole("button", { name: `Play ${name}` }).click();
    await expect.poll(async () => (await playing(page)).duration, { timeout: 20_000 }).toBeCloseTo(length, 0);
    await reached(page, 0.5);
    const dock = page.getByRole("region", { name: "Player" });
    expect(await dock.textContent()).toContain(name);
    expect(await dock.getByRole("slider", { name: "Position" }).isDisabled()).toBe(false);
  }
  await expect.poll(() => told.filter((t) => t === "ad-error").length, { timeout: 20_000 }).toBe(3);
  await context.close();
});

test("an album breaks between its tracks and goes on where it was", async () => {
  const { page, told, complaints, context } = await enter("free");
  await page.getByRole("button", { name: "Play album Harbour" }).click();
  const dock = page.getByRole("region", { name: "Player" });
  const ad = dock.getByText(/^Advertisement, /);
  await ad.waitFor();
  await ad.waitFor({ state: "hidden" });
  await reached(page, 0.5);
  await page.evaluate(() => window.melodyud && (window.melodyud.audio.currentTime = 10.5));
  await ad.waitFor();
  expect(await dock.textContent()).toContain("0:00"); // the second track waits at its beginning.
  await ad.waitFor({ state: "hidden" });
  await dock.getByText("Other Song").waitFor();
  await reached(page, 12.5);
  const now = await playing(page);
  expect(now.time).toBeLessThan(15);
  expect(now.duration).toBeCloseTo(23, 0);
  await expect.poll(() => told.filter((t) => t === "ad-completed").length, { timeout: 20_000 }).toBe(2);
  expect(complaints).toEqual([]);
  await context.close();
});
