import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, visit } from "./browser";
import { startReal, upload, type Real } from "./server";
import { flac, pcm } from "./sound";

// One sine, cut into five tracks of an album at odd places, is heard as one sine:
// the page plays it, and what its audio element gives is recorded and compared.

const rate = 48_000; // of the sound card too, so that nothing is resampled.
const frequency = 997.3;
const level = 16_000 / 32_768;
const cuts = [0, 60_345, 144_777, 212_001, 301_333, 388_242];
let browser: Browser;
let server: Real;
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "melodyud-joins-"));
  browser = await launch();
  server = await startReal(["--ladder", "aac-160,flac"]);
  const files = await Promise.all(cuts.slice(1).map(async (to, k) => {
    const from = cuts[k] ?? 0;
    const file = join(dir, `part-${k}.flac`);
    const sine = (i: number) => Math.round(level * 32_768 * Math.sin((2 * Math.PI * frequency * (from + i)) / rate));
    await flac(file, pcm(to - from, rate, sine), { title: `Part ${k + 1}`, artist: "Oscillator", album: "One Sine", track: `${k + 1}/5` });
    return file;
  }));
  await upload(server, ...files.reverse()); // an album's order is that of its numbers.
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
  await rm(dir, { recursive: true, force: true });
});

/** record taps the page's audio element; what it gives is collected in window.heard. */
async function record(page: Page): Promise<void> {
  await page.evaluate(async (sampleRate) => {
    const context = new AudioContext({ sampleRate });
    const source = `registerProcessor("tap", class extends AudioWorkletProcessor {
      process(inputs) { const c = inputs[0][0]; if (c) this.port.postMessage(c.slice()); return true; }
    })`;
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
    const tap = new AudioWorkletNode(context, "tap");
    const heard: Float32Array[] = [];
    tap.port.onmessage = (e: MessageEvent<Float32Array>) => heard.push(e.data);
    const audio = window.melodyud?.audio;
    if (!audio) throw new Error("no player in this page");
    context.createMediaElementSource(audio).connect(tap);
    tap.connect(context.destination);
    await context.resume();
    Object.assign(window, { heard });
  }, rate);
}

/** recorded returns the sound from its first sample to its last. */
async function recorded(page: Page): Promise<Float32Array> {
  const text = await page.evaluate(async () => {
    const blob = new Blob((window as unknown as { heard: Float32Array<ArrayBuffer>[] }).heard);
    const reader = new FileReader();
    const done = new Promise((resolve) => (reader.onload = resolve));
    reader.readAsDataURL(blob);
    await done;
    return String(reader.result).split(",")[1] ?? "";
  });
  const bytes = Uint8Array.from(Buffer.from(text, "base64"));
  const all = new Float32Array(bytes.buffer);
  const from = all.findIndex((v) => Math.abs(v) > 1e-3);
  return all.subarray(from, all.findLastIndex((v) => Math.abs(v) > 1e-3) + 1);
}

interface Compared {
  /** Samples by which each track's sine is late against the first one's. */
  late: number[];
  /** Largest difference from one continuous sine, in full scale: within tracks and about joins. */
  inside: number;
  joins: number;
}

function compare(sound: Float32Array): Compared {
  const w = (2 * Math.PI * frequency) / rate;
  const fit = (from: number, n: number) => {
    let [re, im] = [0, 0];
    for (let i = from; i < from + n; i++) {
      re += (sound[i] ?? 0) * Math.sin(w * i);
      im += (sound[i] ?? 0) * Math.cos(w * i);
    }
    return { amplitude: (2 * Math.hypot(re, im)) / n, phase: Math.atan2(im, re) };
  };
  const whole = Math.round((rate / frequency) * 400);
  const first = fit(4000, whole);
  const turn = (p: number) => p - 2 * Math.PI * Math.round(p / (2 * Math.PI));
  const off = (from: number, to: number) => {
    let most = 0;
    for (let i = from; i < to; i++) most = Math.max(most, Math.abs((sound[i] ?? 0) - first.amplitude * Math.sin(w * i + first.phase)));
    return most;
  };
  const inner = cuts.slice(1, -1);
  return {
    late: cuts.slice(0, -1).map((c) => turn(first.phase - fit(c + 4000, whole).phase) / w),
    inside: Math.max(...cuts.slice(0, -1).map((c, k) => off(c + 4000, (cuts[k + 1] ?? 0) - 4000))),
    joins: Math.max(...inner.map((c) => off(c - 2500, c + 2500))),
  };
}

// Where the processors are busy the browser's sound runs dry and the recording has
// holes, so there are three tries; a fault of ours is in all of them.
test.each([
  // FLAC is the sine itself, but for the 16 bits of its samples and the browser's own rounding.
  { family: "FLAC", hifi: true, noise: 1e-4 },
  // AAC codes each track's edge as if its sound went on: 0.008 of full scale was measured there and
  // 0.004 inside, where a missing priming gives 0.6 to 1 and a slip of samples shows in late.
  { family: "AAC", hifi: false, noise: 0.016 },
])("an album of five tracks plays as one sound in $family (GAP-1..7)", { timeout: 120_000, retry: 2 }, async ({ family, hifi, noise }) => {
  const { page, context, complaints } = await visit(browser, server.signIn, { bypassCSP: true });
  await page.getByRole("link", { name: "Listen" }).click();
  if (hifi) await page.getByRole("switch", { name: "Hi-fi" }).click();
  const button = page.getByRole("button", { name: "Play album One Sine by Oscillator" });
  await button.waitFor();
  await page.evaluate(() => {
    const titles: string[] = [];
    Object.assign(window, { titles });
    new MutationObserver(() => {
      const t = document.querySelector(".dock-title")?.textContent ?? "";
      if (t.startsWith("Part") && titles.at(-1) !== t) titles.push(t);
    }).observe(document.body, { childList: true, characterData: true, subtree: true });
  });
  await record(page);
  await button.click();
  await page.locator(`[data-quality^=${family}]`).waitFor();
  await page.waitForFunction(() => window.melodyud?.audio.ended, undefined, { timeout: 60_000 });
  await page.waitForTimeout(300); // what is still on its way through the graph.
  const sound = await recorded(page);
  const seen = compare(sound);
  expect(await page.evaluate(() => (window as unknown as { titles: string[] }).titles)).toEqual([1, 2, 3, 4, 5].map((n) => `Part ${n}`));
  expect(Math.abs(sound.length - (cuts.at(-1) ?? 0))).toBeLessThanOrEqual(2); // the sine's first and last samples are near 0.
  for (const late of seen.late) expect(Math.abs(late)).toBeLessThan(0.05);
  expect(seen.inside).toBeLessThan(hifi ? noise : 0.005);
  expect(seen.joins).toBeLessThan(noise);
  await context.close();
  expect(complaints).toEqual([]);
});

test("next, previous and the seek bar move within the album", { timeout: 120_000 }, async () => {
  const { page, context, complaints } = await visit(browser, server.signIn);
  const drawn: string[] = [];
  page.on("response", (r) => void (/waveform/.test(r.url()) && drawn.push(r.url().split("/").at(-2) ?? "")));
  const ownPicture = async () => {
    const id = await page.locator("[data-track][aria-current]").getAttribute("data-track");
    await expect.poll(() => drawn.at(-1)).toBe(id);
    await page.locator(".wave rect").first().waitFor();
  };
  await page.getByRole("link", { name: "Listen" }).click();
  await page.getByRole("button", { name: "Play album One Sine by Oscillator" }).click();
  const title = (t: string) => page.locator(".dock-title", { hasText: t }).waitFor();
  await title("Part 1");
  await page.waitForFunction(() => (window.melodyud?.audio.currentTime ?? 0) > 0.1);
  await ownPicture();
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await page.getByRole("button", { name: "Next track" }).click();
  await title("Part 2");
  await ownPicture();
  await page.getByRole("button", { name: "Next track" }).click();
  await title("Part 3");
  expect(await page.evaluate(() => window.melodyud?.audio.currentTime ?? 0)).toBeGreaterThanOrEqual((cuts[2] ?? 0) / rate - 0.01);
  await page.getByRole("slider", { name: "Position" }).press("Home");
  await page.getByRole("button", { name: "Previous track" }).click();
  await title("Part 2");
  await context.close();
  expect(complaints).toEqual([]);
});
