import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { press, songs } from "./album";
import { launch, playing, reached, visit, type Visit } from "./browser";
import { startReal, type Real } from "./server";
import { wav } from "./sound";

// The whole way in a real browser against the real server: sign in, upload, watch, play.

const rendering = 240_000;
let browser: Browser;
let server: Real;
let dir: string;
let here: Visit;
let page: Page;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "melodyud-story-"));
  browser = await launch();
  server = await startReal();
  here = await visit(browser, server.signIn);
  page = here.page;
  page.setDefaultTimeout(30_000);
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
  await rm(dir, { recursive: true, force: true });
});

afterEach(() => {
  expect(here.complaints).toEqual([]);
});

test("the printed link signs in, and the empty studio teaches", async () => {
  await page.getByRole("link", { name: "Studio" }).click();
  await page.getByRole("heading", { name: "Drop your first tracks here" }).waitFor();
  expect(new URL(page.url()).search).toBe("");
});

test("several files go up at once and become published while one looks on", { timeout: rendering }, async () => {
  const tagged = songs.slice(0, 2);
  const files = await Promise.all(tagged.map((s, i) => press(browser, dir, s, i, 24)));
  const plain = join(dir, "untagged take.wav");
  await writeFile(plain, wav(48, 5));
  await page.locator("input[type=file]").setInputFiles([...files, plain]);
  await page.locator("[data-state=published]").nth(2).waitFor({ timeout: rendering });
  for (const s of tagged) {
    const row = page.locator("[data-state=published]", { hasText: s.title });
    expect(await row.textContent()).toContain(s.artist);
    await row.locator(".cover img").waitFor();
  }
  await page.locator("[data-state=published]", { hasText: "untagged take" }).waitFor();
});

test("a file that is no music is refused with a sentence", async () => {
  const file = join(dir, "notes.wav");
  await writeFile(file, "These are notes, but not of the musical kind.\n".repeat(50));
  await page.locator("input[type=file]").setInputFiles(file);
  const row = page.locator("[data-state=refused], [data-job=failed]", { hasText: /notes/ });
  await row.waitFor();
  expect(await row.locator(".wrong").textContent()).toMatch(/[A-Z].{10,}\./);
  expect(await row.locator("code").textContent()).toMatch(/^[a-z]+[.][a-z.-]+$/);
});

test("a track is renamed", async () => {
  await page.getByRole("link", { name: "Edit untagged take" }).click();
  await page.getByLabel("Title").fill("First Take ♯1 <b>");
  await page.getByLabel("Artist").fill("Łukasz");
  await page.getByLabel("Artist").press("Enter");
  await page.getByRole("heading", { name: "First Take ♯1 <b>" }).waitFor();
  await page.getByText("Quality report").waitFor();
  await page.locator(".outline-picture rect").first().waitFor();
  await page.getByRole("link", { name: "All tracks" }).click();
  await page.locator(".row-title", { hasText: "First Take ♯1 <b>" }).waitFor();
});

test("music plays past five seconds in one continuous range, holds and seeks", async () => {
  await page.getByRole("link", { name: "Listen" }).click();
  await page.getByRole("button", { name: "Play Harbour Lights" }).click();
  await reached(page, 5.2);
  const now = await playing(page);
  expect(now.ranges.length).toBe(1);
  expect(now.duration).toBeCloseTo(24, 0);
  await page.keyboard.press("k");
  const held = await playing(page);
  expect(held.paused).toBe(true);
  await page.waitForTimeout(500);
  expect((await playing(page)).time).toBe(held.time);
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  const sought = await playing(page);
  expect(sought.time).toBeCloseTo(held.time + 10, 0);
  await page.keyboard.press("k");
  await reached(page, sought.time + 1);
  expect((await playing(page)).ranges.length).toBe(1);
});

test("a press of play asks for nothing but sound, and a ready track for less (HLS-5)", async () => {
  await page.reload();
  await page.locator("[data-track]").first().waitFor();
  const asked: string[] = [];
  const note = (r: { url(): string }) => void (/\/(playback|p)[/?]/.test(r.url()) && asked.push(r.url().replace(/.*\/(\w+\.\w+|playback)(\?.*)?$/, "$1")));
  page.on("request", note);
  await page.getByRole("button", { name: "Play Harbour Lights" }).click();
  await reached(page, 3);
  expect(asked.filter((a) => !a.endsWith("m4s") && a !== "playback")).toEqual([]);
  expect(new Set(asked.filter((a) => a.endsWith("m4s"))).size).toBe(asked.filter((a) => a.endsWith("m4s")).length); // none twice
  await expect.poll(() => asked.includes("playback")).toBe(true); // the next one was asked for
  await page.getByRole("slider", { name: "Position" }).press("Home");
  asked.length = 0;
  await page.keyboard.press("n");
  await reached(page, 1);
  expect(asked.filter((a) => !a.endsWith("m4s") && a !== "playback")).toEqual([]);
  page.off("request", note);
  await page.getByRole("button", { name: "Play Harbour Lights" }).click();
  await page.waitForFunction(() => document.querySelector(".dock-title")?.textContent === "Harbour Lights");
  await reached(page, 0.5);
});

test("loudness is evened out by what was measured, and left alone on request (NORM-2)", async () => {
  const heard = () => page.evaluate(() => window.melodyud?.audio.volume ?? 0);
  const choose = (name: string) => page.getByRole("radio", { name }).check({ force: true });
  await page.getByRole("button", { name: "Sound details" }).click();
  await choose("Off");
  expect(await heard()).toBeCloseTo(0.64, 5);
  await choose("Quiet");
  const quiet = await heard();
  await choose("Normal");
  const by = await page.locator(".evening p .numbers").textContent();
  expect(20 * Math.log10(quiet / 0.64)).toBeCloseTo(Number(by?.replace("−", "-").replace(" dB", "")) - 5, 0);
  await page.keyboard.press("Escape");
});

test("each quality can be chosen and is heard", async () => {
  await page.getByRole("slider", { name: "Position" }).press("Home");
  for (const label of ["AAC 64 kbit/s", "AAC 256 kbit/s", "AAC 96 kbit/s"]) {
    await page.locator(".quality-button").click();
    await page.getByRole("option", { name: label }).click();
    await page.locator(`[data-quality='${label}']`).waitFor();
  }
  const { time } = await playing(page);
  await reached(page, time + 1);
});

test("hi-fi plays lossless, changes to AAC and back at will, and ends where the music was", async () => {
  await page.getByRole("slider", { name: "Position" }).press("Home");
  await page.getByRole("switch", { name: "Hi-fi" }).click();
  await page.locator("[data-quality='FLAC 16 bit / 44.1 kHz']").waitFor();
  await reached(page, 5.2);
  expect((await playing(page)).ranges.length).toBe(1);
  // The menu of hi-fi holds AAC too: from one family to the other, back, and over again.
  await page.evaluate(() => {
    const a = window.melodyud?.audio;
    const starved: number[] = [];
    Object.assign(window, { starved });
    a?.addEventListener("waiting", () => {
      const [b, at] = [a.buffered, a.currentTime];
      const ready = Array.from({ length: b.length }, (_, i) => (b.start(i) <= at + 0.001 ? b.end(i) - at : 0));
      if (Math.max(0, ...ready) < 0.25) starved.push(at);
    });
  });
  for (const label of ["AAC 96 kbit/s", "FLAC 16 bit / 44.1 kHz", "AAC 64 kbit/s"]) {
    await page.locator(".quality-button").click();
    await page.getByRole("option", { name: label }).click();
    await page.locator(`[data-quality='${label}']`).waitFor();
  }
  const lossless = await playing(page);
  await reached(page, lossless.time + 1);
  expect((await playing(page)).ranges.length).toBe(1);
  expect(await page.evaluate(() => (window as unknown as { starved: number[] }).starved)).toEqual([]);
  await page.getByRole("switch", { name: "Hi-fi" }).click();
  await page.locator("[data-quality^=AAC]").waitFor();
  await reached(page, lossless.time + 1);
});

test("the encrypted form plays in the page like the clear one", async () => {
  const keys: string[] = [];
  const fetched = (r: { url(): string }) => void (/\/encrypted\/aes-128\/.*\.key$/.test(r.url()) && keys.push(r.url()));
  page.on("request", fetched);
  await page.route("**/v1/tracks/*/playback?*", (route) => route.continue({ url: `${route.request().url()}&encrypt=true` }));
  await page.reload(); // what was asked for ahead is clear.
  await page.getByRole("button", { name: "Play First Take" }).click();
  await reached(page, 5.2);
  const now = await playing(page);
  expect(now.ranges.length).toBe(1);
  expect(now.duration).toBeCloseTo(48, 0);
  expect(keys.length).toBeGreaterThan(0);
  await page.unroute("**/v1/tracks/*/playback?*");
  page.off("request", fetched);
});

test("a preview plays as a short track of its own", async () => {
  const previews = new Map<string, { start_seconds: number; duration_seconds: number }>();
  await page.route("**/v1/tracks/*/playback?*", async (route) => {
    const track = route.request().url().split("/playback")[0] ?? "";
    await page.evaluate(
      (url) => fetch(url, { method: "PATCH", headers: { "Content-Type": "application/json" }, body: '{"preview_start_seconds":14}' }),
      track,
    );
    const preview = await route.fetch({ url: `${track}/preview` });
    const answer = (await preview.json()) as { start_seconds: number; duration_seconds: number };
    previews.set(track.split("/").at(-1) ?? "", answer);
    await route.fulfill({ json: { ...answer, track: {} } });
  });
  await page.reload(); // so that all are asked for anew
  const id = (await page.locator("[data-track]", { hasText: "First Take" }).getAttribute("data-track")) ?? "";
  await page.getByRole("button", { name: "Play First Take" }).click();
  await page.waitForFunction(() => document.querySelector(".dock-title")?.textContent?.startsWith("First Take"));
  await reached(page, 5.2);
  const now = await playing(page);
  const { start_seconds: start, duration_seconds: length } = previews.get(id)!;
  expect(Math.abs(start - 14)).toBeLessThan(2.1);
  expect(length).toBeGreaterThan(26);
  expect(length).toBeLessThanOrEqual(30);
  expect(Math.abs(now.duration - length)).toBeLessThan(0.05);
  expect(now.ranges.length).toBe(1);
  expect(now.ranges[0]?.[0]).toBeLessThan(0.01);
  await page.unroute("**/v1/tracks/*/playback?*");
});

test("the next track follows by itself", async () => {
  const was = (await page.locator(".dock-title").textContent()) ?? "";
  await page.locator(".song-button", { hasNotText: was }).first().click(); // the one that plays would pause
  await page.waitForFunction((title) => document.querySelector(".dock-title")?.textContent !== title, was);
  await reached(page, 0.2);
  const before = await page.locator(".dock-title").textContent();
  await page.getByRole("slider", { name: "Position" }).press("End");
  await page.waitForFunction((title) => document.querySelector(".dock-title")?.textContent !== title, before);
  await reached(page, 1);
});

test("a deleted track leaves the player too", { timeout: 60_000 }, async () => {
  await page.getByRole("link", { name: "Studio" }).click();
  await page.getByRole("button", { name: "Delete Paper Lanterns" }).click();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByText("will be deleted").waitFor({ state: "hidden" });
  await expect.poll(() => page.evaluate(() => fetch("/v1/catalog").then((r) => r.text())), { timeout: 15_000 }).not.toContain("Paper Lanterns");
});

test("after signing out the page asks for the key", async () => {
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Your key").fill(server.signIn);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("[data-track]").first().waitFor();
});
