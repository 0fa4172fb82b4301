import { execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser, type Page } from "playwright-core";
import { expect, test } from "vitest";
import { flags } from "./browser";
import { startReal, upload, type Real } from "./server";
import { flac, pcm } from "./sound";

// How long a press of play takes to be heard, over a network with a round trip of its
// own: make bench-start. Needs root, ip and Go. See docs/benchmarks.md for what is measured.

const wanted = process.env.MELODYUD_BENCH_START ?? "";
const runs = Number(process.env.RUNS ?? 10);
const delays = (process.env.RTT ?? "0,50").split(",").map(Number);
/** Milliseconds between the page being there and the press. */
const pauses = (process.env.PAUSE ?? "0,1500").split(",").map(Number);
const families = (process.env.FAMILY ?? "aac,hifi").split(",");
const verbose = process.env.VERBOSE === "1";
const ns = `mud${process.pid}`;
const here = "10.213.7.1";
const there = "10.213.7.2";

const sh = (line: string) => execFileSync("/bin/sh", ["-ec", line], { stdio: ["ignore", "ignore", "inherit"] });

/** A wire is a network namespace at the end of a cable with a round trip of its own. */
interface Wire {
  /** Milliseconds. */
  roundTrip(ms: number): Promise<void>;
  cut(): Promise<void>;
}

async function wire(dir: string): Promise<Wire> {
  const cable = join(dir, "cable");
  execFileSync("go", ["build", "-o", cable, "./web/e2e/cable"], { cwd: new URL("../..", import.meta.url).pathname });
  sh(`ip netns add ${ns}`);
  const child = spawn(cable, [`${ns}a`, `${ns}b`, "0ms"], { stdio: ["pipe", "pipe", "inherit"] });
  const ready = () => new Promise<void>((done) => child.stdout.once("data", () => done()));
  await ready();
  sh(`ip link set ${ns}b netns ${ns}
ip addr add ${here} peer ${there} dev ${ns}a && ip link set ${ns}a up
ip -n ${ns} addr add ${there} peer ${here} dev ${ns}b && ip -n ${ns} link set ${ns}b up && ip -n ${ns} link set lo up`);
  return {
    roundTrip: (ms) => {
      child.stdin.write(`${ms}ms\n`);
      return ready();
    },
    cut: async () => {
      const gone = new Promise((done) => child.once("exit", done));
      child.stdin.end();
      await gone;
      sh(`ip netns del ${ns}`);
    },
  };
}

/** ear is put into the page before its own scripts: it hears every audio element. */
const ear = () => {
  const g = globalThis as unknown as { ear: Ear; Audio: typeof Audio };
  const context = new AudioContext({ latencyHint: "interactive", sampleRate: 48_000 });
  // A tone is there when it has most of what two quanta (5 ms) hold.
  const code = `registerProcessor("ear", class extends AudioWorkletProcessor {
    constructor() { super(); this.tone = 0; this.last = new Float32Array(128); this.port.onmessage = (e) => { this.tone = e.data; }; }
    process(inputs) {
      const c = inputs[0][0] ?? new Float32Array(128);
      if (this.tone) {
        let re = 0, im = 0, all = 0;
        for (let i = 0; i < 256; i++) {
          const v = i < 128 ? this.last[i] : c[i - 128], a = 2 * Math.PI * this.tone * i / sampleRate;
          re += v * Math.cos(a); im += v * Math.sin(a); all += v * v;
        }
        if (all > 1e-3 && 2 * (re * re + im * im) / 256 > 0.7 * all) { this.tone = 0; this.port.postMessage(currentTime); }
      }
      this.last.set(c);
      return true;
    }
  })`;
  const node = context.audioWorklet.addModule(URL.createObjectURL(new Blob([code], { type: "text/javascript" }))).then(() => {
    const n = new AudioWorkletNode(context, "ear");
    n.connect(context.destination);
    return n;
  });
  const Plain = g.Audio;
  g.Audio = class extends Plain {
    constructor(src?: string) {
      super(src);
      void node.then((n) => context.createMediaElementSource(this).connect(n));
    }
  };
  g.ear = {
    ready: async () => {
      await context.resume();
      await node;
    },
    hear: async (tone, press) => {
      const n = await node;
      const heard = new Promise<number>((done) => (n.port.onmessage = () => done(performance.now())));
      n.port.postMessage(tone);
      const pressed = performance.now();
      press();
      return { pressed, after: (await heard) - pressed };
    },
  };
};

interface Ear {
  ready(): Promise<void>;
  /** hear runs what makes a tone sound and tells after how many milliseconds it was there. */
  hear(tone: number, press: () => void): Promise<{ pressed: number; after: number }>;
}

const songSeconds = 180;
/** The tones of each song: of its first and of its second half. */
const tones: [number, number][] = [[562.5, 3_375], [1_125, 4_500], [2_250, 6_750]];

/** song is a tone in a hiss, so that FLAC needs about what music needs: 1 Mbit/s. */
function song(n: number): Buffer {
  const rate = 44_100;
  let state = n + 1;
  return pcm(songSeconds * rate, rate, (i) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    const tone = tones[n]?.[i < (songSeconds / 2) * rate ? 0 : 1] ?? 0;
    return Math.round(13_000 * Math.sin((2 * Math.PI * tone * i) / rate) + (state >> 16) * 0.11);
  });
}

interface Run {
  /** From the press. */
  first: number;
  /** From the start of the navigation to the press, and to the sound. */
  press: number;
  page: number;
  next: number;
  seek: number;
}

async function once(server: Real, family: string, pause: number): Promise<Run> {
  // A browser of its own for each run: nothing in it is warm.
  const browser = await chromium.launch({ executablePath: wrapper, headless: true, args: [...flags, `--unsafely-treat-insecure-origin-as-secure=${server.url}`] });
  try {
    return await listen(browser, server, family, pause);
  } finally {
    await browser.close();
  }
}

async function listen(browser: Browser, server: Real, family: string, pause: number): Promise<Run> {
  const context = await browser.newContext({ bypassCSP: true });
  await context.addCookies([{ name: session.name, value: session.value, url: server.url }]);
  await context.addInitScript(ear);
  await context.addInitScript(`localStorage.setItem("melodyud.hifi", "${family === "hifi" ? 1 : 0}")`);
  const page = await context.newPage();
  await page.goto(`${server.url}/player`, { waitUntil: "commit" });
  const button = page.locator(".song-button", { hasText: "Song 2" });
  await button.waitFor();
  await page.evaluate(() => (globalThis as unknown as { ear: Ear }).ear.ready());
  await page.waitForTimeout(pause);
  const name = await page.locator(".song:has(.song-button) .song-title").allTextContents();
  const after = name[name.indexOf("Song 2") + 1] ?? "";
  const hear = (song: string, half: 0 | 1, press: string) =>
    page.evaluate(([tone, code]) => (globalThis as unknown as { ear: Ear }).ear.hear(tone, new Function(code) as () => void),
      [tones[Number(song.slice(-1)) - 1]?.[half] ?? 0, press] as const);
  const first = await hear("Song 2", 0, "document.querySelector(\"[aria-label^='Play Song 2']\").click()");
  if (verbose) await waterfall(page, first.pressed);
  await page.waitForFunction((f) => document.querySelector(".quality-button")?.getAttribute("data-quality")?.startsWith(f), family === "hifi" ? "FLAC" : "AAC");
  await page.waitForTimeout(2500); // the next track is asked for after two seconds.
  const seek = await hear("Song 2", 1, "melodyud.audio.currentTime = 150");
  await page.waitForTimeout(1500);
  const next = await hear(after, 0, "document.querySelector(\"[aria-label='Next track']\").click()");
  await context.close();
  return { first: first.after, press: first.pressed, page: first.pressed + first.after, next: next.after, seek: seek.after };
}

/** waterfall prints what was asked for about the press, in milliseconds from it. */
async function waterfall(page: Page, pressed: number): Promise<void> {
  const rows = await page.evaluate((t) => performance.getEntriesByType("resource").filter((e) => e.startTime > t - 2500)
    .map((e) => `${(e.startTime - t).toFixed(0).padStart(6)} ${((e as PerformanceResourceTiming).responseStart - t).toFixed(0).padStart(6)} ${((e as PerformanceResourceTiming).responseEnd - t).toFixed(0).padStart(6)} ${(e as PerformanceResourceTiming).transferSize} ${e.name.replace(/\/p\/[^/]+\/[^/]+\/[^/]+/, "/p/…").slice(-60)}`), pressed);
  console.log(rows.join("\n"));
}

const at = (all: number[], share: number) => [...all].sort((a, b) => a - b)[Math.min(all.length - 1, Math.ceil(all.length * share) - 1)] ?? 0;

let wrapper = "";
let session = { name: "", value: "" };

test.skipIf(!wanted)("from the press of play to the first sound", { timeout: 7_200_000 }, async () => {
  const dir = await mkdtemp(join(tmpdir(), "melodyud-start-"));
  wrapper = join(dir, "chromium");
  await writeFile(wrapper, `#!/bin/sh\nexec ip netns exec ${ns} ${process.env.CHROMIUM ?? "/usr/bin/chromium"} "$@"\n`, { mode: 0o755 });
  const cable = await wire(dir);
  let server: Real | undefined;
  try {
    server = await startReal(["--addr", `${here}:0`]);
    const files = await Promise.all([1, 2, 3].map(async (n) => {
      const file = join(dir, `song ${n}.flac`);
      await flac(file, song(n - 1), { title: `Song ${n}`, artist: "Bench" });
      return file;
    }));
    expect((await upload(server, ...files)).length).toBe(3);
    const signedIn = await fetch(server.signIn, { redirect: "manual" });
    const [, name = "", value = ""] = /^([^=]+)=([^;]+)/.exec(signedIn.headers.get("set-cookie") ?? "") ?? [];
    session = { name, value };
    for (const rtt of delays) {
      await cable.roundTrip(rtt);
      for (const pause of pauses) for (const family of families) await series(server, rtt, family, pause);
    }
  } finally {
    await server?.close();
    await cable.cut();
    await rm(dir, { recursive: true, force: true });
  }
});

async function series(server: Real, rtt: number, family: string, pause: number): Promise<void> {
  const all: Run[] = [];
  for (let i = 0; i < runs; i++) all.push(await once(server, family, pause));
  const of = (k: keyof Run) => `${at(all.map((r) => r[k]), 0.5).toFixed(0)}/${at(all.map((r) => r[k]), 0.95).toFixed(0)}`;
  console.log(`rtt ${rtt} ms, ${family}, press after ${pause} ms, ${runs} runs, load ${loadavg()[0]?.toFixed(1)}: p50/p95 ms: ` +
    `press to sound ${of("first")}, next ${of("next")}, seek ${of("seek")}, page to sound ${of("page")}, page to press ${of("press")}`);
}
