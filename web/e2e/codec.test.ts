import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch } from "./browser";
import { binary } from "./server";
import { wav } from "./sound";

// Chromium and Firefox decode what our encoder makes: whole, on time and of the exact length.
// MELODYUD_STREAMS names a directory with more ADTS streams to try, of any rate
// (MELODYUD_OUTSIDE=1 MELODYUD_STREAMS=dir go test -run OtherDecoders ./transcode/aac leaves them there).

const run = promisify(execFile);
const seconds = 5.4321;
const frame = 1024;
const priming = frame;

/** What a page says of one stream. */
interface Heard {
  name: string;
  error?: string;
  /** Samples that decodeAudioData gave at the stream's own rate, and how late they are. */
  length: number;
  lag: number;
  /** What Media Source Extensions made of a track file: begin and end of the only range. */
  buffered?: [number, number][];
}

interface Job {
  name: string;
  rate: number;
  source?: string;
}

/** Sent to the browser as text: it may use nothing of this file. */
const script = async (jobs: Job[]) => {
  const bytes = async (name: string) => (await fetch(`/files/${name}`)).arrayBuffer();
  const decode = async (name: string, rate: number) => new OfflineAudioContext(1, 1, rate).decodeAudioData(await bytes(name));

  /** Where sound resembles source most, from the fifth part of its length on. */
  const lagOf = (source: Float32Array, sound: Float32Array): number => {
    const [from, n, reach] = [Math.floor(source.length / 5), 12_000, 2_200];
    let best = -Infinity;
    let lag = 0;
    for (let l = -reach; l <= reach; l++) {
      let sum = 0;
      let energy = 1e-9;
      for (let i = from; i < from + n; i++) {
        const v = sound[i + l] ?? 0;
        sum += v * (source[i] ?? 0);
        energy += v * v;
      }
      if (sum / Math.sqrt(energy) > best) [best, lag] = [sum / Math.sqrt(energy), l];
    }
    return lag;
  };

  const append = (name: string) =>
    new Promise<[number, number][]>((done, failed) => {
      const media = new MediaSource();
      const audio = new Audio(URL.createObjectURL(media));
      audio.onerror = () => failed(new Error(audio.error?.message ?? "media error"));
      media.onsourceopen = async () => {
        const buffer = media.addSourceBuffer('audio/mp4; codecs="mp4a.40.2"');
        buffer.onupdateend = () => {
          if (media.readyState !== "open") return;
          media.endOfStream();
          const b = buffer.buffered;
          done(Array.from({ length: b.length }, (_, i) => [b.start(i), b.end(i)]));
        };
        buffer.appendBuffer(await bytes(name));
      };
    });

  const listen = async (job: Job): Promise<Heard> => {
    const heard: Heard = { name: job.name, length: 0, lag: 0 };
    try {
      const sound = await decode(job.name, job.rate);
      heard.length = sound.length;
      if (job.source) heard.lag = lagOf((await decode(job.source, job.rate)).getChannelData(0), sound.getChannelData(0));
      if (job.name.endsWith(".m4a")) heard.buffered = await append(job.name);
    } catch (e) {
      heard.error = String(e);
    }
    return heard;
  };

  const all: Heard[] = [];
  for (const job of jobs) all.push(await listen(job));
  await fetch("/heard", { method: "POST", body: JSON.stringify(all) });
};

/** A page that decodes the jobs' files of dir and reports. */
async function site(dir: string, jobs: Job[]): Promise<{ url: string; heard: Promise<Heard[]>; close: () => void }> {
  let tell: (h: Heard[]) => void;
  const heard = new Promise<Heard[]>((done) => (tell = done));
  const page = `<!doctype html><title>codec</title><script type=module>(${script.toString()})(${JSON.stringify(jobs)})</script>`;
  const server = createServer(async (req, res) => {
    if (req.method === "POST") {
      tell(JSON.parse(await body(req)) as Heard[]);
      res.end();
    } else if (req.url?.startsWith("/files/")) {
      res.end(await readFile(join(dir, basename(req.url))));
    } else {
      res.setHeader("Content-Type", "text/html").end(page);
    }
  });
  await new Promise<void>((up) => server.listen(0, "127.0.0.1", up));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, heard, close: () => server.close() };
}

async function body(req: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of req) text += String(chunk);
  return text;
}

async function inChromium(url: string, heard: Promise<Heard[]>): Promise<Heard[]> {
  const browser = await launch();
  try {
    await (await browser.newPage()).goto(url);
    return await heard;
  } finally {
    await browser.close();
  }
}

async function inFirefox(url: string, heard: Promise<Heard[]>): Promise<Heard[]> {
  const home = await mkdtemp(join(tmpdir(), "melodyud-firefox-"));
  const child = spawn(firefox, ["--headless", "--no-remote", "--profile", home, url], {
    env: { ...process.env, HOME: home },
    stdio: "ignore",
  });
  const gone = new Promise<void>((done) => child.once("exit", () => done()));
  try {
    return await Promise.race([heard, gone.then(() => Promise.reject(new Error("Firefox ended")))]);
  } finally {
    child.kill("SIGTERM");
    await gone;
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

const firefox = process.env.FIREFOX ?? "/usr/bin/firefox-esr";
const browsers = { Chromium: inChromium, Firefox: inFirefox };
const missing = (name: string) => name === "Firefox" && !existsSync(firefox) && !process.env.CI;

let dir: string;
const jobs: Job[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "melodyud-codec-"));
  for (const rate of [44_100, 48_000]) {
    const source = `${rate}.wav`;
    await writeFile(join(dir, source), wav(seconds, 3, rate));
    for (const [kbps, ending] of [[64, "m4a"], [256, "m4a"], [96, "aac"]]) {
      const name = `${rate}-${kbps}.${ending}`;
      await run(binary, ["encode", join(dir, source), join(dir, name), "--bitrate", `${kbps}k`]);
      jobs.push({ name, rate, source });
    }
  }
});

afterAll(() => rm(dir, { recursive: true, force: true }));

for (const [name, browse] of Object.entries(browsers)) {
  test.skipIf(missing(name))(`${name} decodes our streams whole and on time`, async () => {
    const page = await site(dir, jobs);
    const heard = await browse(page.url, page.heard).finally(page.close);
    expect(heard.map((h) => h.name)).toEqual(jobs.map((j) => j.name));
    for (const h of heard) {
      const { rate = 0 } = jobs.find((j) => j.name === h.name) ?? {};
      check(h, name, rate);
    }
  });

  const streams = process.env.MELODYUD_STREAMS ?? "";
  test.skipIf(!streams || missing(name))(`${name} decodes the streams of MELODYUD_STREAMS`, async () => {
    const files = (await readdir(streams)).filter((f) => f.endsWith(".aac"));
    const page = await site(streams, files.map((f) => ({ name: f, rate: parseInt(f) })));
    const heard = await browse(page.url, page.heard).finally(page.close);
    for (const h of heard) {
      const units = countUnits(await readFile(join(streams, h.name)));
      expect(h.error, h.name).toBeUndefined();
      expect([units * frame, units * frame - priming], h.name).toContain(h.length);
    }
  });
}

/** check expects a track file to be exact and raw AAC to be late by the priming at most. */
function check(h: Heard, browser: string, rate: number): void {
  const samples = Math.round(seconds * rate);
  const whole = Math.ceil(samples / frame) * frame;
  expect(h.error, h.name).toBeUndefined();
  if (h.name.endsWith(".aac")) {
    // Firefox takes the first frame for priming, Chromium takes nothing off.
    expect(h.length - whole, h.name).toBe(h.lag);
    expect([0, priming], h.name).toContain(h.lag);
    return;
  }
  expect(h.lag, h.name).toBe(0);
  // Firefox does not take the padding off in decodeAudioData, but does in a source buffer (GAP-4).
  expect(h.length, h.name).toBe(browser === "Firefox" ? whole : samples);
  expect(h.buffered?.length, h.name).toBe(1);
  expect(h.buffered?.[0]?.[0], h.name).toBe(0);
  expect(h.buffered?.[0]?.[1], h.name).toBeCloseTo(samples / rate, 4);
}

/** countUnits counts the access units of an ADTS stream. */
function countUnits(stream: Buffer): number {
  let n = 0;
  for (let at = 0; at + 7 <= stream.length; n++) at += (stream.readUInt32BE(at + 2) >> 5) & 0x1fff;
  return n;
}
