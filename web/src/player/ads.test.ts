import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Ads, type AudioLike, type Told } from "./ads";

// Breaks as hls.js tells of them, on an element that does what it is told.

class Element extends EventTarget {
  currentTime = 0;
  paused = false;
  seeking = false;
  readyState = 4;

  at(seconds: number): void {
    this.currentTime = seconds;
    this.dispatchEvent(new Event("timeupdate"));
  }
}

class Player {
  media: unknown;
  skipped = 0;
  interstitialsManager = { skip: () => this.skipped++ };
  #heard = new Map<string, ((e: string, data: unknown) => void)[]>();

  on(event: string, run: (e: string, data: unknown) => void): void {
    this.#heard.set(event, [...(this.#heard.get(event) ?? []), run]);
  }

  tell(event: string, data: unknown = {}): void {
    for (const run of this.#heard.get(event) ?? []) run(event, data);
  }
}

const Events = new Proxy({}, { get: (_t, name) => String(name) });
const asset = { DURATION: 20, "X-AD": "trk_1", "X-TITLE": "Strings", "X-ADVERTISER": "Vale" };
const pre = { identifier: "pre", cue: { pre: true }, assetListResponse: { ASSETS: [asset] } };

let audio: Element;
let player: Player;
let ads: Ads;
let told: string[];
let last: Told;
let resumed: number;

beforeEach(() => {
  vi.useFakeTimers();
  [audio, player, told, resumed] = [new Element(), new Player(), [], 0];
  const tell = (what: string, about: Told) => {
    told.push(what + (about.quartile ?? ""));
    last = about;
  };
  ads = new Ads(audio as unknown as AudioLike, tell, () => resumed++);
  ads.follow({ Events, ErrorDetails: Events } as never, player as never);
  player.media = audio;
});

afterEach(() => void vi.useRealTimers());

function start(event: unknown = pre): void {
  player.tell("INTERSTITIAL_STARTED", { event });
  player.media = null;
  player.tell("INTERSTITIAL_ASSET_STARTED", { event, asset: { duration: 20 }, assetListIndex: 0 });
}

function end(): void {
  player.tell("INTERSTITIAL_ASSET_ENDED");
  player.tell("INTERSTITIAL_ENDED");
}

test("an ad is told of once at each mark, and shown with what is left of it", () => { // VAST-3, VAST-4
  start();
  expect(ads.on.value).toBe(true);
  expect(ads.spot.value).toEqual({ title: "Strings", advertiser: "Vale", duration: 20, left: 20 });
  for (const t of [0, 0.1, 4, 5.2, 5.3, 11, 15, 19.9]) audio.at(t);
  expect(told).toEqual(["impression", "quartile1", "quartile2", "quartile3"]);
  expect(ads.spot.value?.left).toBeCloseTo(0.1);
  end();
  expect(told.at(-1)).toBe("completed");
  expect(last).toEqual({ ad: "trk_1", break: "pre", place: "pre", position_ms: 20_000 });
});

test("music is not taken for music before it has the element back, where it was", () => {
  start({ ...pre, identifier: "join-2", cue: { pre: false } });
  audio.at(19.9);
  end();
  expect([ads.on.value, ads.spot.value, resumed]).toEqual([true, undefined, 0]);
  player.media = audio;
  audio.seeking = true;
  audio.at(0);
  expect(ads.on.value).toBe(true);
  audio.seeking = false;
  audio.at(240);
  expect([ads.on.value, resumed]).toEqual([false, 1]);
});

test("a break without ads takes nothing from the music", () => { // AD-8, AD-9
  player.tell("INTERSTITIAL_STARTED", { event: pre });
  player.tell("INTERSTITIAL_ENDED");
  expect([ads.on.value, told, resumed]).toEqual([false, [], 1]);
});

test("music that goes on while nobody knows which ads there are is music", () => { // AD-9
  player.tell("INTERSTITIAL_STARTED", { event: pre });
  player.tell("ERROR", { details: "ASSET_LIST_LOAD_ERROR", interstitial: pre });
  expect(told).toEqual(["error"]);
  audio.at(0.1);
  expect(ads.on.value).toBe(true);
  audio.at(0.5);
  expect([ads.on.value, resumed]).toEqual([false, 1]);
  start();
  expect(ads.on.value).toBe(true);
});

test("an ad that does not go on is left, but not one that is paused", () => { // AD-9
  start();
  audio.at(1);
  audio.paused = true;
  audio.dispatchEvent(new Event("pause"));
  vi.advanceTimersByTime(60_000);
  expect(player.skipped).toBe(0);
  audio.paused = false;
  audio.at(1.5);
  vi.advanceTimersByTime(6_100);
  expect([player.skipped, told]).toEqual([1, ["impression", "error"]]);
  end();
  expect(told).not.toContain("completed");
});

test("an ad that fails is told with a code that the edge takes", () => {
  start();
  player.tell("INTERSTITIAL_ASSET_ERROR", { error: new Error("Asset player error: 404 [pre]") });
  expect(told).toEqual(["error"]);
  expect(last.code).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
});

test("what an older player tells does not matter any more", () => {
  const old = player;
  player = new Player();
  ads.follow({ Events, ErrorDetails: Events } as never, player as never);
  old.tell("INTERSTITIAL_STARTED", { event: pre });
  expect(ads.on.value).toBe(false);
});
