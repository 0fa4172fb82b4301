import { mkdtemp, readFile, rm } from "node:fs/promises";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { launch, phone, playing, reached, visit, type Visit } from "./browser";
import { fakeTrack, key, startFake, type Fake } from "./fake/server";
import type { Features, Stage } from "../src/api/types";
import { hasFFmpeg, hls, wav } from "./sound";

// The page in a real browser against the fake API, for what a real server does rarely.

const web = new URL("..", import.meta.url).pathname;
let browser: Browser;
let fake: Fake;
let media: string;
let policy: string;
let here: Visit | undefined;

beforeAll(async () => {
  expect(await hasFFmpeg(), "ffmpeg makes the media of these tests: apt install ffmpeg").toBe(true);
  media = await mkdtemp(join(tmpdir(), "melodyud-e2e-"));
  await hls(media, wav(40));
  const source = await readFile(join(web, "web.go"), "utf8");
  policy = [...(/const Policy = ((?:"[^"]*"[\s+]*)+)/.exec(source)?.[1] ?? "").matchAll(/"([^"]*)"/g)].map((m) => m[1]).join("");
  expect(policy).toContain("script-src 'self'");
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await rm(media, { recursive: true, force: true });
});

beforeEach(async () => {
  fake = await startFake({ dist: join(web, "dist"), media, policy });
});

afterEach(async () => {
  const complaints = here?.complaints ?? [];
  await here?.context.close();
  here = undefined;
  await fake.close();
  expect(complaints).toEqual([]);
});

async function open(path: string, options: Parameters<Browser["newContext"]>[0] = {}) {
  here = await visit(browser, fake.url + path, options);
  return here.page;
}

const heard: Features = {
  duration_s: 40, sample_rate: 44_100, channels: 2, bit_depth: 16,
  loudness: { integrated_lufs: -9.3, range_lu: 5.1, true_peak_dbtp: 0.4 },
  quality: {
    bandwidth_hz: 20_000,
    remarks: [{ code: "quality.clipping", text: "Loud peaks are cut flat in 4 places.", at: [{ start: 3, end: 3.1 }, { start: 31, end: 31.2 }] }],
  },
  rhythm: { tempo_bpm: 128, tempo_confidence: 0.9, tempo_alt_bpm: 64, time_signature: 4, beats_s: [], downbeat_index: [] },
  tonal: { key: 9, mode: 0, key_confidence: 0.8, camelot: "8A", tuning_cents: 0 },
  perceptual: { energy: { value: 0.81, calibrated: false } },
  structure: { sections: [{ start: 0, duration: 20 }, { start: 20, duration: 20 }] },
};

const some = (bytes: number) => Buffer.alloc(bytes, 7);

/** file writes a file to be chosen and returns where it is. */
function file(name: string, body: Buffer): string {
  const path = join(media, name);
  writeFileSync(path, body);
  return path;
}

/** Large and slow enough that the buffers of a local connection do not swallow it whole. */
const long = 24_000_000;
const slowly = 6_000_000;

describe("signing in", () => {
  test("a visitor without a session pastes a key, and a wrong one is told so", async () => {
    fake.faults.signedIn = false;
    const page = await open("/studio");
    await page.getByLabel("Your key").fill("nonsense");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("The server does not know this key.").waitFor();
    await page.getByLabel("Your key").fill(`http://127.0.0.1/signin?key=${key}`);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Studio", exact: true }).waitFor();
  });

  test("a session that ends meanwhile leads back to the card", async () => {
    fake.tracks = [fakeTrack(), fakeTrack({ id: "trk_2", title: "Second" })];
    const page = await open("/player");
    const play = page.getByRole("button", { name: "Play Night Train by Ada" });
    await play.waitFor();
    // Any request may be the first to hear of it, that for the next track at the latest, so
    // the button may go before it is pressed: pressing is a click on what was there.
    const button = await play.elementHandle();
    fake.faults.signedIn = false;
    await button?.evaluate((b) => (b as HTMLElement).click());
    await page.getByLabel("Your key").waitFor();
  });

  test("an account sees only its rooms", async () => {
    fake.me = { ...fake.me, roles: ["listener"], tier: "free" };
    const page = await open("/studio");
    await page.waitForURL("**/player");
    expect(await page.getByRole("navigation", { name: "Rooms" }).count()).toBe(0);
    expect(await page.getByRole("switch", { name: "Hi-fi" }).count()).toBe(0);
  });
});

describe("the studio", () => {
  test("an empty studio teaches what to do", async () => {
    const page = await open("/studio");
    await page.getByRole("heading", { name: "Drop your first tracks here" }).waitFor();
    await page.getByText("If one cannot be used, you read why.").waitFor();
  });

  test("several files upload at once, at most three, and become published tracks", async () => {
    fake.faults.uploadRate = slowly;
    const page = await open("/studio");
    await page.locator("input[type=file]").setInputFiles([1, 2, 3, 4, 5].map((n) => file(`song ${n}.wav`, some(n < 4 ? 12_000_000 : 1000))));
    await page.locator("[data-job=sending]").first().waitFor();
    expect(await page.locator("[data-job=waiting]").count()).toBe(2);
    await page.getByText(/\/s · .*left/).first().waitFor();
    await page.locator("[data-state=published]").nth(4).waitFor({ timeout: 50_000 });
    expect(await page.locator("[data-job]").count()).toBe(0);
    for (const u of fake.uploads.values()) expect(Buffer.concat(u.parts).equals(some(u.length)), u.name).toBe(true);
  });

  test("the stages of the pipeline are told as they pass", async () => {
    fake.faults.stage = 3_600_000; // by hand instead:
    const page = await open("/studio");
    await page.locator("input[type=file]").setInputFiles(file("song.wav", some(1000)));
    await page.getByText("Waiting its turn").waitFor();
    const told: [Stage, string][] = [["validating", "Checking the file 50 %"], ["rendering", "Encoding every quality 50 %"], ["storing", "Storing 50 %"], ["publishing", "Publishing 50 %"]];
    for (const [stage, words] of told) {
      fake.change("trk_up1", { progress: { stage, percent: 50, attempt: 1 } });
      await page.getByText(words).waitFor();
    }
    fake.change("trk_up1", { state: "published", title: "Song", artist: "Ada" });
    await page.locator("[data-state=published]", { hasText: "Ada" }).waitFor();
    await page.locator("#announcer", { hasText: "Song is published." }).waitFor({ state: "attached" });
  });

  test("a file can be paused and goes on where it was", async () => {
    fake.faults.uploadRate = slowly;
    const page = await open("/studio");
    await page.locator("input[type=file]").setInputFiles(file("long.wav", some(long)));
    await page.getByText(/Uploading [1-9]/).waitFor();
    await page.getByRole("button", { name: "Pause long.wav" }).click();
    await page.getByText(/Paused at/).waitFor();
    fake.faults.uploadRate = 0;
    await page.getByRole("button", { name: "Resume long.wav" }).click();
    await page.locator("[data-state=published]").waitFor();
    expect(fake.uploads.size).toBe(1);
    expect([...fake.uploads.values()][0]?.got).toBe(long);
  });

  test("a connection cut twice costs nothing but time", async () => {
    fake.faults.cutPatches = 2;
    const page = await open("/studio");
    await page.locator("input[type=file]").setInputFiles(file("cut.wav", some(3_000_000)));
    await page.locator("[data-state=published]").waitFor();
    expect([...fake.uploads.values()].map((u) => u.got)).toEqual([3_000_000]);
  });

  test("after a reload the same file goes on where it stopped", async () => {
    fake.faults.uploadRate = slowly;
    const page = await open("/studio");
    page.on("dialog", (d) => void d.accept());
    const song = file("reload.wav", some(long));
    await page.locator("input[type=file]").setInputFiles(song);
    await page.getByText(/Uploading [1-9]/).waitFor();
    await page.reload();
    await page.getByText("Not finished in your last visit.").waitFor();
    fake.faults.uploadRate = 0;
    await page.locator("input[type=file]").setInputFiles(song);
    await page.locator("[data-state=published]").waitFor();
    expect([...fake.uploads.values()].map((u) => u.got)).toEqual([long]);
  });

  test("a cancelled file is gone here and on the server", async () => {
    fake.faults.uploadRate = slowly;
    const page = await open("/studio");
    await page.locator("input[type=file]").setInputFiles(file("no.wav", some(long)));
    await page.getByText(/Uploading [1-9]/).waitFor();
    await page.getByRole("button", { name: "Cancel no.wav" }).click();
    await page.getByRole("heading", { name: "Drop your first tracks here" }).waitFor();
    await expect.poll(() => [...fake.uploads.values()].map((u) => u.gone)).toEqual([true]);
  });

  test("a refused upload shows the server's sentence with its code, and can be tried again", async () => {
    fake.faults.refuseUploads = { status: 413, code: "upload.too-large", detail: "Files may be up to 1 GB here. Send a shorter track." };
    const page = await open("/studio");
    await page.locator("input[type=file]").setInputFiles(file("huge.wav", some(1000)));
    await page.getByText("Files may be up to 1 GB here.").waitFor();
    expect(await page.locator("[data-job=failed] code").textContent()).toBe("upload.too-large");
    delete fake.faults.refuseUploads;
    await page.getByRole("button", { name: "Try huge.wav again" }).click();
    await page.locator("[data-state=published]").waitFor();
  });

  test("a refused track says why", async () => {
    fake.faults.refuseTrack = { code: "audio.too-short", text: "This track is shorter than one second. Send the whole recording." };
    const page = await open("/studio");
    await page.locator("input[type=file]").setInputFiles(file("click.wav", some(1000)));
    await page.locator("[data-state=refused]", { hasText: "This track is shorter than one second." }).waitFor();
    expect(await page.locator("[data-state=refused] code").textContent()).toBe("audio.too-short");
  });

  test("titles are shown as text whatever they hold", async () => {
    fake.tracks = [fakeTrack({ title: "<img src=x onerror=alert(1)>", artist: "<script>alert(2)</script>" })];
    const page = await open("/studio");
    await page.getByText("<img src=x onerror=alert(1)>").waitFor();
    expect(await page.locator("[data-track] img, [data-track] script").count()).toBe(0);
  });

  test("what a track is called is edited on its page", async () => {
    fake.tracks = [fakeTrack()];
    const page = await open("/studio");
    await page.getByRole("link", { name: "Edit Night Train" }).click();
    await page.getByLabel("Title").fill("Morning Train");
    await page.getByLabel("Artist").fill("Grace");
    await page.getByLabel("Track number").fill("7");
    await page.getByLabel("Preview from").fill("0:12.5");
    await page.getByLabel("Artist").press("Enter");
    await page.getByRole("heading", { name: "Morning Train" }).waitFor();
    expect(fake.tracks[0]).toMatchObject({ title: "Morning Train", artist: "Grace", number: 7, preview_start_seconds: 12.5 });
    await page.getByRole("link", { name: "All tracks" }).click();
    await page.locator(".row-title", { hasText: "Morning Train" }).waitFor();
  });

  test("a track's page tells what was heard and what an engineer would remark", async () => {
    fake.tracks = [fakeTrack()];
    fake.features = heard;
    const page = await open("/studio/trk_1");
    await page.getByText("Loud peaks are cut flat in 4 places.").waitFor();
    expect(await page.locator(".report").textContent()).toContain("44.1 kHz, 16 bit, stereo · -9.3 LUFS");
    expect(await page.locator(".remark-places").textContent()).toBe(" At 0:03, 0:31.");
    expect(await page.locator(".heard-facts").textContent()).toContain("128.0 BPM (or 64.0)");
    expect(await page.locator(".heard-facts").textContent()).toContain("A minor, 8A");
    expect(await page.getByRole("meter", { name: "Energy" }).getAttribute("aria-valuenow")).toBe("81");
    expect(await page.locator(".outline-spot").count()).toBe(2);
  });

  test("an older release is restored, and a file replaces the audio", async () => {
    fake.tracks = [fakeTrack({ release: { id: "rel_2", number: 2, duration_seconds: 41, published: "2026-11-01T12:00:00Z" } })];
    const master = { sha256: "00", size: 1_000_000 };
    fake.releases = [2, 1].map((number) => ({ id: `rel_${number}`, number, duration_seconds: 40, published: "2026-11-01T12:00:00Z", current: number === 2, file_name: `mix ${number}.wav`, master }));
    const page = await open("/studio/trk_1");
    await page.getByRole("button", { name: "Restore release 1" }).click();
    await page.getByRole("button", { name: "Restore release 2" }).waitFor();
    await page.locator(".releases input[type=file]").setInputFiles(file("mix 3.wav", some(1000)));
    await expect.poll(() => [...fake.uploads.values()].map((u) => u.metadata).join()).toContain(`replaces ${Buffer.from("trk_1").toString("base64")}`);
    fake.change("trk_1", { replacing: true, progress: { stage: "rendering", percent: 40, attempt: 1 } });
    await page.getByText("Other audio is being prepared.").waitFor();
    fake.change("trk_1", { replacing: false, refusal: { code: "audio.too-short", text: "Too short." }, progress: { stage: "done", percent: 100, attempt: 1 } });
    await page.getByText("nothing changed for listeners", { exact: false }).waitFor();
  });

  test("a file that is published already waits for a decision", async () => {
    fake.tracks = [fakeTrack()];
    fake.faults.twin = "trk_1";
    const page = await open("/studio");
    await page.locator("input[type=file]").setInputFiles([file("again.wav", some(1000)), file("twice.wav", some(1001))]);
    const again = page.getByRole("group", { name: "again.wav is there already" });
    expect(await again.textContent()).toContain("You have published this very file as Night Train.");
    await again.getByRole("button", { name: "Discard" }).click();
    await again.waitFor({ state: "detached" });
    await page.getByRole("group", { name: "twice.wav is there already" }).getByRole("button", { name: "Keep both" }).click();
    await page.locator("[data-track]", { hasText: "twice" }).waitFor();
    expect([...fake.uploads.values()].map((u) => u.decided).sort()).toEqual(["both", "discard"]);
  });

  test("what sounds familiar is named and can be dismissed", async () => {
    fake.tracks = [fakeTrack()];
    fake.duplicates = [
      { kind: "recording", offset_seconds: -2, score: 0.01, speed: 1, state: "open", track: { id: "trk_2", title: "Night Train (demo)" } },
      { kind: "review", offset_seconds: 0, score: 0.2, speed: 1, state: "open" },
    ];
    const page = await open("/studio/trk_1");
    await page.getByText("a track of another creator").waitFor();
    await page.getByRole("button", { name: "It is not" }).click();
    await page.getByText("Night Train (demo)").waitFor({ state: "detached" });
    expect(fake.duplicates[0]?.state).toBe("dismissed");
  });

  test("the quota shows what is left of what is limited", async () => {
    fake.quota = { bytes: { used: 900_000_000, reserved: 50_000_000, limit: 1_000_000_000 }, hours: { used: 1, reserved: 0 }, uploads_today: { used: 3, limit: 100, resets: "2026-11-02T00:00:00Z" } };
    const page = await open("/studio");
    await page.getByText("950 MB of 1.0 GB").waitFor();
    expect(await page.locator(".quota li").count()).toBe(2);
    expect(await page.locator(".quota .nearly").count()).toBe(1);
  });

  test("deleting asks first and can be undone", async () => {
    fake.tracks = [fakeTrack()];
    const page = await open("/studio");
    await page.getByRole("button", { name: "Delete Night Train" }).click();
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByText("“Night Train” will be deleted.").waitFor();
    expect(await page.locator("[data-track]").count()).toBe(0);
    await page.getByRole("button", { name: "Undo" }).click();
    await page.locator("[data-track]").waitFor();
    expect(fake.tracks.length).toBe(1);
    await page.getByRole("button", { name: "Delete Night Train" }).click();
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await expect.poll(() => fake.tracks.length, { timeout: 15_000 }).toBe(0);
  });

  test("the playback link is copied whole", async () => {
    fake.tracks = [fakeTrack()];
    const page = await open("/studio", { permissions: ["clipboard-read", "clipboard-write"] });
    await page.getByRole("button", { name: "Copy playback link of Night Train" }).click();
    await page.getByText("Link copied.").waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toMatch(/^http:.*\/index\.m3u8$/);
  });
});

describe("the player", () => {
  beforeEach(() => {
    fake.tracks = [fakeTrack(), fakeTrack({ id: "trk_2", title: "Second", artist: "Grace" }), fakeTrack({ id: "trk_3", title: "Third" })];
  });

  test("a track plays, holds, seeks and goes on without a hole", async () => {
    const page = await open("/player");
    await page.getByRole("button", { name: "Play Night Train by Ada" }).click();
    await reached(page, 5);
    expect((await playing(page)).ranges.length).toBe(1);
    await page.keyboard.press("k");
    const held = await playing(page);
    expect(held.paused).toBe(true);
    await page.waitForTimeout(400);
    expect((await playing(page)).time).toBe(held.time);
    await page.getByRole("slider", { name: "Position" }).press("PageDown");
    expect((await playing(page)).time).toBe(0);
    await page.getByRole("slider", { name: "Position" }).press("ArrowRight");
    expect((await playing(page)).time).toBeCloseTo(5, 0);
    await page.getByRole("button", { name: "Play", exact: true }).click();
    await reached(page, 6);
  });

  test("the heard quality is shown and can be chosen", async () => {
    const page = await open("/player");
    await page.getByRole("button", { name: "Play Night Train by Ada" }).click();
    await page.locator("[data-quality='AAC 160 kbit/s']").waitFor();
    await page.locator(".quality-button").click();
    await page.getByRole("option", { name: "AAC 96 kbit/s" }).click();
    await page.locator("[data-quality='AAC 96 kbit/s']").waitFor();
    await reached(page, 2);
  });

  test("hi-fi plays FLAC and says its bits", async () => {
    const page = await open("/player");
    await page.getByRole("switch", { name: "Hi-fi" }).click();
    await page.getByRole("button", { name: "Play Night Train by Ada" }).click();
    await page.locator("[data-quality='FLAC 16 bit / 44.1 kHz']").waitFor();
    await reached(page, 5);
    expect((await playing(page)).ranges.length).toBe(1);
    await page.getByRole("switch", { name: "Hi-fi" }).click();
    await page.locator("[data-quality='AAC 160 kbit/s']").waitFor();
    expect((await playing(page)).time).toBeGreaterThan(4);
    await reached(page, 7);
  });

  test("hi-fi on a slow connection goes on in standard quality (HLS-34)", async () => {
    const page = await open("/player");
    fake.faults.flacDelay = 2_000;
    await page.getByRole("switch", { name: "Hi-fi" }).click();
    await page.getByRole("button", { name: "Play Night Train by Ada" }).click();
    await page.locator("[data-quality^=FLAC]").waitFor();
    fake.faults.flacDelay = 60_000;
    await page.getByText("this track goes on in standard quality.").waitFor({ timeout: 40_000 });
    await page.locator("[data-quality^=AAC]").waitFor();
    const { time } = await playing(page);
    expect(time).toBeGreaterThan(3);
    await reached(page, time + 3);
  });

  test("an expired ticket is renewed without the listener noticing", async () => {
    const page = await open("/player");
    fake.faults.expireTickets = false;
    await page.getByRole("button", { name: "Play Night Train by Ada" }).click();
    await reached(page, 1);
    await page.evaluate(() => {
      (window.melodyud?.hls as { config: { maxBufferLength: number } }).config.maxBufferLength = 4;
    });
    fake.faults.expireTickets = true;
    await page.getByRole("slider", { name: "Position" }).press("PageUp");
    await reached(page, 33);
    expect(await page.locator(".dock-trouble").count()).toBe(0);
  });

  test("the next track follows by itself, and keys move between them", async () => {
    const page = await open("/player");
    await page.getByRole("button", { name: "Play Night Train by Ada" }).click();
    await reached(page, 1);
    await page.getByRole("slider", { name: "Position" }).press("End");
    await page.locator(".dock-title", { hasText: "Second" }).waitFor();
    await reached(page, 1);
    await page.keyboard.press("n");
    await page.locator(".dock-title", { hasText: "Third" }).waitFor();
    expect(await page.getByRole("button", { name: "Next track" }).isDisabled()).toBe(true);
    await page.keyboard.press("p");
    await page.locator(".dock-title", { hasText: "Second" }).waitFor();
    await page.keyboard.press("m");
    expect(await page.evaluate(() => window.melodyud?.audio.muted)).toBe(true);
    expect(await page.evaluate(() => navigator.mediaSession.metadata?.title)).toBe("Second");
  });

  test("shortcuts leave form fields alone", async () => {
    const page = await open("/player");
    await page.getByRole("button", { name: "Play Night Train by Ada" }).click();
    await reached(page, 0.2);
    await page.getByRole("link", { name: "Studio" }).click();
    await page.getByRole("link", { name: "Edit Second" }).click();
    await page.getByLabel("Title").fill("");
    await page.getByLabel("Title").pressSequentially("n m k");
    expect(await page.getByLabel("Title").inputValue()).toBe("n m k");
    expect((await playing(page)).paused).toBe(false);
    expect(await page.locator(".dock-title").textContent()).toBe("Night Train");
  });

  test("volume is remembered", async () => {
    const page = await open("/player");
    await page.getByRole("slider", { name: "Volume" }).press("Home");
    for (let i = 0; i < 6; i++) await page.getByRole("slider", { name: "Volume" }).press("ArrowUp");
    await page.reload();
    await page.getByRole("slider", { name: "Volume" }).waitFor();
    expect(await page.evaluate(() => window.melodyud?.audio.volume)).toBeCloseTo(0.09, 2);
  });

  test("a link plays its track", async () => {
    const page = await open("/player?track=trk_3");
    await page.locator(".dock-title", { hasText: "Third" }).waitFor();
    await reached(page, 1);
  });

  test("a withdrawn track is a sentence, not a spinner", async () => {
    const page = await open("/player");
    await page.getByRole("button", { name: "Play Second by Grace" }).waitFor();
    fake.tracks = [];
    await page.getByRole("button", { name: "Play Second by Grace" }).click();
    await page.locator(".dock-trouble", { hasText: "no longer published" }).waitFor();
  });

  test("what the edge refuses is said in its words, and a press tries again", async () => {
    const page = await open("/player");
    fake.faults.refuseMedia = { status: 403, code: "playback.too-many-streams", detail: "Stop the music on another device first." };
    await page.getByRole("button", { name: "Play Night Train by Ada" }).click();
    await page.locator(".dock-trouble", { hasText: "Stop the music on another device first." }).waitFor({ timeout: 5_000 });
    delete fake.faults.refuseMedia;
    await page.keyboard.press("k");
    await reached(page, 1);
    expect(await page.locator(".dock-trouble").count()).toBe(0);
  });

  test("tracks are lined up, put in order, kept over a reload and played before the list goes on", async () => {
    const page = await open("/player");
    const lined = () => page.getByRole("region", { name: "Next in the queue" }).locator("[data-lined]").evaluateAll((all) => all.map((e) => e.getAttribute("data-lined")));
    const add = async (name: string, how: string) => {
      await page.getByRole("button", { name: `More for ${name}` }).focus();
      await page.keyboard.press("Enter");
      await page.getByRole("menuitem", { name: how }).press("Enter");
    };
    await page.getByRole("button", { name: "Play Night Train by Ada" }).click();
    await add("Third", "Add to the queue");
    await add("Night Train", "Add to the queue");
    await add("Second", "Play next");
    await page.getByRole("button", { name: "Queue", exact: true }).click();
    expect(await lined()).toEqual(["trk_2", "trk_3", "trk_1"]);
    await page.getByRole("button", { name: "Move Third up" }).click();
    await page.getByRole("button", { name: "Remove Second from the queue" }).click();
    expect(await lined()).toEqual(["trk_3", "trk_1"]);
    await page.keyboard.press("Escape");
    await page.reload();
    await page.getByRole("button", { name: "Play Night Train by Ada" }).click();
    await reached(page, 0.2);
    await page.keyboard.press("n");
    await page.locator(".dock-title", { hasText: "Third" }).waitFor();
    await page.keyboard.press("n");
    await page.locator(".dock-title", { hasText: "Night Train" }).waitFor();
    await page.keyboard.press("n"); // the list goes on behind its own last track.
    await page.locator(".dock-title", { hasText: "Second" }).waitFor();
  });

  test("nothing is wider than a small phone", async () => {
    for (const path of ["/player", "/studio"]) {
      const page = await open(path, { viewport: phone, hasTouch: true, isMobile: true });
      await page.locator("[data-track]").first().waitFor();
      if (path === "/player") await page.getByRole("button", { name: "Sound details" }).click();
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(phone.width);
      await here?.context.close();
    }
  });
});
