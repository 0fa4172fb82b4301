import { describe, expect, test } from "vitest";
import { Reporter, renditionOf, type AudioLike } from "./beacons";
import { Outbox, type Event, type Post } from "./outbox";

/** Sound is an audio element whose time goes when the test says so. */
class Sound extends EventTarget implements AudioLike {
  currentTime = 0;
  duration = 200;
  paused = true;
  ended = false;
  seeking = false;
  playbackRate = 1;
  clock = 1_000_000;
  fire(...types: string[]): void {
    for (const type of types) this.dispatchEvent(new globalThis.Event(type));
  }
  /** Plays, for some seconds before it says so. */
  begin(unsaid = 0): void {
    this.paused = false;
    this.fire("play");
    this.clock += unsaid * 1000;
    this.currentTime += unsaid;
    this.fire("playing");
  }
  /** Lets seconds pass, a quarter at a time. */
  run(seconds: number): void {
    for (let t = 0; t < seconds - 1e-9; t += 0.25) {
      const step = Math.min(0.25, seconds - t);
      this.clock += step * 1000;
      this.currentTime += step * this.playbackRate;
      this.fire("timeupdate");
    }
  }
  seek(to: number): void {
    this.seeking = true;
    this.currentTime = to;
    this.fire("seeking");
    this.seeking = false;
    this.fire("seeked", "playing");
  }
  pause(): void {
    this.paused = true;
    this.fire("pause");
  }
  end(): void {
    this.ended = this.paused = true;
    this.fire("pause", "ended");
  }
}

interface Sent {
  url: string;
  body: { sent: number; events: Event[] };
}

/** Wire is a post office that answers what the test wants. */
class Wire implements Post {
  sent: Sent[] = [];
  goodbyes: Sent[] = [];
  status = 204;
  clock = 1_000_000;
  waits: { run: () => void; at: number }[] = [];
  kept = new Map<string, string>();
  retryAfter = "";
  storage = {
    getItem: (k: string) => this.kept.get(k) ?? null,
    setItem: (k: string, v: string) => void this.kept.set(k, v),
    removeItem: (k: string) => void this.kept.delete(k),
  };
  async fetch(url: string, init: RequestInit) {
    if (this.status === 0) throw new TypeError("no network");
    this.sent.push({ url, body: JSON.parse(String(init.body)) as Sent["body"] });
    return { status: this.status, headers: { get: () => this.retryAfter } };
  }
  beacon(url: string, body: string): boolean {
    this.goodbyes.push({ url, body: JSON.parse(body) as Sent["body"] });
    return true;
  }
  now = () => this.clock;
  later(run: () => void, ms: number): void {
    this.waits.push({ run, at: this.clock + ms });
  }
  /** Lets time pass, and what was put off happen. */
  async pass(ms: number): Promise<void> {
    await settled();
    this.clock += ms;
    for (const due of this.waits.filter((w) => w.at <= this.clock)) {
      this.waits = this.waits.filter((w) => w !== due);
      due.run();
      await settled();
    }
  }
  get told(): Event[] {
    return this.sent.flatMap((s) => s.body.events);
  }
}

const settled = () => new Promise((done) => setTimeout(done, 0));
Object.assign(globalThis, { location: { href: "http://music.test/player" } });

const address = "http://music.test/p/t/trk_1/rel_1/events";

function listening() {
  const sound = new Sound();
  const wire = new Wire();
  let plays = 0;
  const reporter = new Reporter(sound, new Outbox(wire), () => sound.clock, () => `play-${++plays}`);
  const told = async () => {
    reporter.report();
    await settled();
    return wire.told;
  };
  return { sound, wire, reporter, told };
}

const types = (all: Event[]) => all.map((e) => e.type);
const heard = (all: Event[]) => all.flatMap((e) => (e["heard"] as { from: number; to: number }[] | undefined) ?? []);

describe("the reporter", () => {
  test("a play is told from the wish to the end", async () => {
    const { sound, wire, reporter, told } = listening();
    reporter.wanted();
    sound.clock += 180;
    reporter.opened("/p/t/trk_1/rel_1/hifi.m3u8");
    sound.clock += 20;
    reporter.quality("aac-160");
    sound.begin();
    sound.run(12);
    reporter.report();
    sound.run(3.1);
    reporter.quality("aac-256");
    sound.run(1);
    sound.currentTime = sound.duration = 16.1;
    sound.end();
    const all = await told();
    expect(types(all)).toEqual(["requested", "started", "heard", "switched", "ended"]);
    expect(all.map((e) => e.sequence)).toEqual([0, 1, 2, 3, 4]);
    expect(all[1]).toMatchObject({ play: "play-1", took_ms: 200, rendition: "aac-160" });
    expect(heard(all)).toEqual([{ from: 0, to: 12_000 }, { from: 12_000, to: 16_100 }]);
    expect(new Set(wire.sent.map((s) => s.url))).toEqual(new Set([address]));
  });

  test("jumps, pauses and stalls add nothing to what was heard", async () => {
    const { sound, reporter, told } = listening();
    reporter.wanted();
    reporter.opened("/p/t/trk_1/rel_1/index.m3u8");
    sound.begin();
    sound.run(5);
    sound.seek(100);
    sound.run(5);
    sound.pause();
    sound.clock += 60_000;
    sound.begin();
    sound.run(5);
    sound.fire("waiting");
    sound.clock += 1_500;
    sound.fire("playing");
    sound.run(5);
    sound.clock += 250;
    sound.currentTime = 150; // without a word
    sound.run(1);
    const all = await told();
    expect(heard(all)).toEqual([
      { from: 0, to: 5_000 }, { from: 100_000, to: 105_000 }, { from: 105_000, to: 110_000 }, { from: 110_000, to: 115_000 }, { from: 150_250, to: 151_000 },
    ]);
    expect(types(all)).toEqual(["requested", "started", "seeked", "paused", "stalled", "heard"]);
    expect(all[2]).toMatchObject({ position_ms: 5_000, target_ms: 100_000 });
    expect(all[4]).toMatchObject({ took_ms: 1_500, position_ms: 110_000 });
  });

  test("what sounds before the element says so was heard", async () => {
    const { sound, reporter, told } = listening();
    reporter.wanted();
    reporter.opened("/p/t/trk_1/rel_1/index.m3u8");
    sound.currentTime = 0.01;
    sound.fire("seeking");
    sound.begin(0.01);
    sound.run(2);
    sound.pause();
    sound.begin(0.03);
    sound.run(1);
    expect(heard(await told())).toEqual([{ from: 0, to: 2_020 }, { from: 2_020, to: 3_050 }]);
  });

  test("another speed is said, and waits at the start or after a jump are no stalls", async () => {
    const { sound, reporter, told } = listening();
    reporter.wanted();
    reporter.opened("/p/t/trk_1/rel_1/index.m3u8");
    sound.fire("waiting");
    sound.clock += 900;
    sound.begin();
    sound.playbackRate = 2;
    sound.fire("ratechange");
    sound.run(4);
    sound.seeking = true;
    sound.currentTime = 50;
    sound.fire("seeking", "waiting");
    sound.clock += 900;
    sound.seeking = false;
    sound.fire("playing");
    const all = await told();
    expect(heard(all)).toEqual([{ from: 0, to: 8_000, rate: 2 }]);
    expect(types(all)).not.toContain("stalled");
  });

  test("who goes on to another track has skipped this one, but not when it was over", async () => {
    const { sound, wire, reporter, told } = listening();
    reporter.wanted();
    reporter.opened("/p/t/trk_1/rel_1/index.m3u8");
    sound.begin();
    sound.run(3);
    reporter.wanted();
    reporter.opened("/p/u/trk_2/rel_2/index.m3u8");
    sound.currentTime = 0;
    sound.fire("emptied");
    sound.begin();
    sound.run(2);
    sound.ended = true;
    reporter.wanted(); // before the event itself arrives here
    const all = await told();
    const of = (play: string) => types(all.filter((e) => e.play === play));
    expect(of("play-1")).toEqual(["requested", "started", "skipped"]);
    expect(of("play-2")).toEqual(["requested", "started", "ended"]);
    expect(heard(all)).toEqual([{ from: 0, to: 3_000 }, { from: 0, to: 2_000 }]);
    expect(wire.sent.map((s) => s.url)).toEqual([address, "http://music.test/p/u/trk_2/rel_2/events"]);
  });

  test("a fresh ticket or another quality does not end a play", async () => {
    const { sound, wire, reporter, told } = listening();
    reporter.wanted();
    reporter.opened("/p/t/trk_1/rel_1/index.m3u8");
    sound.begin();
    sound.run(20);
    sound.fire("emptied");
    reporter.opened("/p/new/trk_1/rel_1/hifi.m3u8");
    sound.fire("waiting", "seeking");
    sound.clock += 2_000;
    sound.fire("playing");
    sound.run(15);
    const all = await told();
    expect(types(all)).toEqual(["requested", "started", "heard"]);
    expect(heard(all)).toEqual([{ from: 0, to: 20_000 }, { from: 20_000, to: 35_000 }]);
    expect(wire.sent.every((s) => s.url === address)).toBe(true);
  });

  test("a renewed ticket is told by from then on, also what waits", async () => {
    const { sound, wire, reporter, told } = listening();
    wire.status = 503;
    reporter.wanted();
    reporter.opened("/p/t/trk_1/rel_1/index.m3u8");
    sound.begin();
    sound.run(3);
    await told();
    reporter.move("/p/t/", "/p/renewed/");
    wire.status = 204;
    await wire.pass(3_000);
    sound.run(3);
    await told();
    expect(wire.sent.map((s) => s.url.split("/")[4])).toEqual(["t", "renewed", "renewed"]);
  });

  test("tracks of an album are plays of their own, on their own timeline", async () => {
    const { sound, reporter, told } = listening();
    reporter.wanted();
    reporter.part("rel_a", 0, 10);
    reporter.opened("/l/t/sum/list/exact/index.m3u8");
    sound.begin();
    sound.run(9.99);
    reporter.part("rel_b", 10, 30);
    sound.run(5.26);
    sound.seek(31);
    reporter.part("rel_c", 30, 60);
    sound.run(4);
    sound.pause();
    const all = await told();
    expect(all.map((e) => [e.type, e["release"]])).toEqual([
      ["requested", "rel_a"], ["started", "rel_a"], ["ended", "rel_a"],
      ["requested", "rel_b"], ["started", "rel_b"], ["seeked", "rel_b"], ["skipped", "rel_b"],
      ["requested", "rel_c"], ["started", "rel_c"], ["paused", "rel_c"],
    ]);
    expect(heard(all)).toEqual([{ from: 0, to: 10_000 }, { from: 0, to: 5_250 }, { from: 1_000, to: 5_000 }]);
  });

  test("what sounds between tracks is not heard of the track", async () => {
    const { sound, reporter, told } = listening();
    reporter.wanted();
    reporter.opened("/p/t/trk_1/rel_1/index.m3u8");
    reporter.interlude(true);
    sound.begin();
    sound.run(15);
    reporter.ad("impression", { ad: "trk_ad", place: "pre" });
    reporter.interlude(false);
    sound.currentTime = 0;
    sound.fire("playing");
    sound.run(4);
    const all = await told();
    expect(heard(all)).toEqual([{ from: 0, to: 4_000 }]);
    expect(types(all)).toContain("ad-impression");
  });

  test("what is played again is another play", async () => {
    const { sound, reporter, told } = listening();
    reporter.wanted();
    reporter.opened("/p/t/trk_1/rel_1/index.m3u8");
    sound.begin();
    sound.run(2);
    sound.end();
    sound.ended = false;
    sound.seek(0);
    sound.begin();
    sound.run(2);
    const all = await told();
    expect(types(all.filter((e) => e.play === "play-2"))).toEqual(["requested", "started", "heard"]);
  });

  test("what is heard has the ladder's name", () => {
    expect(renditionOf({ family: "AAC", label: "AAC 160 kbit/s" })).toBe("aac-160");
    expect(renditionOf({ family: "FLAC", label: "FLAC 16 bit / 44.1 kHz" })).toBe("flac");
    expect(renditionOf(undefined)).toBe("");
  });
});

describe("the outbox", () => {
  const event = (sequence: number, more = {}): Event => ({ type: "heard", play: "p", sequence, at: 1_000_000, ...more });

  test("what is not kept is told again, after the pause that was asked for", async () => {
    const wire = new Wire();
    const box = new Outbox(wire);
    box.add("a", event(0));
    wire.status = 503;
    wire.retryAfter = "20";
    box.flush();
    await wire.pass(10_000);
    box.add("a", event(1));
    box.flush();
    await settled();
    expect(wire.sent.length).toBe(1);
    wire.status = 204;
    await wire.pass(11_000);
    expect(wire.sent.map((s) => s.body.events.length)).toEqual([1, 2]);
    expect(box.waiting).toBe(0);
    expect(wire.kept.size).toBe(0);
  });

  test("without a network it tries again, less and less often", async () => {
    const wire = new Wire();
    wire.status = 0;
    const box = new Outbox(wire);
    box.add("a", event(0));
    box.flush();
    const pauses: number[] = [];
    for (let n = 0; n < 8; n++) {
      await settled();
      const [next] = wire.waits;
      pauses.push((next?.at ?? 0) - wire.clock);
      await wire.pass(pauses.at(-1) ?? 0);
    }
    expect(pauses).toEqual([2_010, 4_010, 8_010, 16_010, 32_010, 60_010, 60_010, 60_010]);
    expect(box.waiting).toBe(1);
  });

  test("what is refused for good is given up", async () => {
    const wire = new Wire();
    wire.status = 403;
    const box = new Outbox(wire);
    box.add("a", event(0));
    box.flush();
    await settled();
    expect(box.waiting).toBe(0);
  });

  test("a flood is bounded, and envelopes stay small", async () => {
    const wire = new Wire();
    const box = new Outbox(wire);
    for (let n = 0; n < 2_000; n++) box.add("a", event(n, { heard: Array.from({ length: 40 }, () => ({ from: 100_000, to: 200_000 })) }));
    expect(box.waiting).toBe(500);
    box.flush();
    while (box.waiting > 0) await settled();
    expect(wire.told[0]?.sequence).toBe(1_500);
    expect(Math.max(...wire.sent.map((s) => JSON.stringify(s.body).length))).toBeLessThan(64_000);
  });

  test("a page that goes tells what it can, and a reload tells the rest", async () => {
    const wire = new Wire();
    const box = new Outbox(wire);
    box.add("a", event(0));
    box.add("b", event(1));
    box.farewell();
    expect(wire.goodbyes.map((s) => s.url)).toEqual(["a", "b"]);
    const again = new Outbox(wire);
    expect(again.waiting).toBe(2);
    again.flush();
    await settled();
    await settled();
    expect(wire.told.map((e) => e.sequence)).toEqual([0, 1]);
    expect(new Outbox(wire).waiting).toBe(0);
    wire.kept.set("melodyud.untold", "nonsense");
    expect(new Outbox(wire).waiting).toBe(0);
  });
});
