import { absolute, rebased } from "./address";
import type { Told } from "./ads";
import { Outbox, type Event } from "./outbox";

// What happens to a play, told to the edge: when it was wanted and when it sounded,
// which stretches of the track were heard, and how it ended. Plays are counted by it.

/** AudioLike is what is watched of the audio element. */
export interface AudioLike extends Pick<EventTarget, "addEventListener"> {
  readonly currentTime: number;
  readonly paused: boolean;
  readonly ended: boolean;
  readonly seeking: boolean;
  readonly playbackRate: number;
}

interface Interval {
  from: number;
  to: number;
  rate?: number;
}

/** Play is one go at one track. */
interface Play {
  id: string;
  sequence: number;
  /** Where to tell it; the first address stays, as its ticket's session does. */
  to: string | undefined;
  /** Told once there is an address. */
  untold: Event[];
  /** Of several tracks that play as one: which, and its seconds on the common timeline. */
  release: string | undefined;
  from: number;
  until: number;
  /** When it was; undefined while it waits for somebody to press play. */
  wanted: number | undefined;
  started: boolean;
  over: boolean;
  heard: Interval[];
}

const every = 10_000; // ms between reports of what was heard
const longest = 3600_000; // ms that anything took; a machine may have slept.
const moments = 0.3; // seconds between what an element does and what it says
const closeToTheEnd = 1; // second: where one track of an album gives way to the next

/**
 * Reporter watches an audio element. Its owner says what it plays: `wanted` before
 * anything else, `opened` when there is an address, and `part` while several tracks
 * play as one.
 */
export class Reporter {
  #play: Play | undefined;
  /** The stretch being heard, on the element's timeline, and when that was looked at. */
  #open: { from: number; to: number; at: number; rate: number } | undefined;
  /** Where the music was when last looked at, and whether it jumped there. */
  #last = 0;
  #jumped = false;
  #stalled: number | undefined;
  #rendition = "";
  #interlude = false;
  /** Sound has come from what is loaded now. */
  #settled = false;

  constructor(
    private readonly audio: AudioLike,
    private readonly outbox = new Outbox(),
    private readonly now: () => number = () => Date.now(),
    private readonly name: () => string = random,
  ) {
    const on = (type: string, run: () => void) => audio.addEventListener(type, run);
    on("play", () => this.#pressed());
    on("playing", () => this.#playing());
    on("timeupdate", () => this.tick());
    on("ratechange", () => this.#cut());
    on("pause", () => this.#paused());
    on("waiting", () => this.#waiting());
    on("seeking", () => this.#seeking());
    on("ended", () => this.#ended());
    on("emptied", () => this.#emptied());
  }

  /** The name of what plays; also the CMCD session. */
  get play(): string | undefined {
    return this.#play?.id;
  }

  /** start sends now and then, and when the page goes. */
  start(page: Pick<Window, "addEventListener" | "setInterval"> & { document: Pick<Document, "addEventListener" | "visibilityState"> } = window): void {
    page.setInterval(() => this.report(), every);
    page.addEventListener("pagehide", () => this.#farewell());
    page.document.addEventListener("visibilitychange", () => page.document.visibilityState === "hidden" && this.report());
    this.outbox.flush();
  }

  /** wanted begins a play; what played until now was skipped, unless it was over. */
  wanted(): void {
    this.#leave();
    this.#last = 0;
    this.#jumped = false;
    this.#play = this.#fresh(undefined);
    this.#tell("requested");
  }

  /** opened says which playlist plays. */
  opened(url: string): void {
    const p = this.#play;
    if (!p || p.to) return;
    p.to = absolute("events", absolute(url));
    for (const e of p.untold.splice(0)) this.outbox.add(p.to, e);
  }

  /** move says that the same session has another ticket: what addresses began with, and begin with now. */
  move(was: string, now: string): void {
    const [from, to] = [absolute(was), absolute(now)];
    this.outbox.move(from, to);
    const p = this.#play;
    if (p?.to) p.to = rebased(p.to, from, to);
  }

  /** part says which of several tracks sounds, and where it lies on the timeline in seconds. */
  part(release: string | undefined, from: number, until: number): void {
    const p = this.#play;
    if (!p || !release) return;
    if (p.release === release) return void Object.assign(p, { from, until });
    if (p.release === undefined) {
      Object.assign(p, { release, from, until });
      for (const e of p.untold) e["release"] = release;
      return;
    }
    this.#advance();
    const flowed = !this.#jumped && !this.audio.seeking && p.until - this.#last < closeToTheEnd;
    // The join may be told of some moments before it comes.
    if (flowed && this.#open && p.until - this.#open.to < moments) this.#open.to = Math.max(this.#open.to, p.until);
    this.#close();
    if (flowed && p.started && !p.over) {
      this.#end();
      this.#last = from; // what was heard beyond the join is of this one.
    } else this.#leave();
    this.#play = { ...this.#fresh(p.to), release, from, until };
    this.#tell("requested");
    if (!this.audio.paused) this.#begun();
    this.tick();
  }

  /** quality says which rendition sounds: a name such as aac-160. */
  quality(rendition: string): void {
    if (rendition === this.#rendition) return;
    this.#rendition = rendition;
    if (this.#play?.started && rendition) this.#tell("switched", { ...this.#position(), rendition });
  }

  /** failed says that playing has ended in an error; the code is a plain word. */
  failed(code: string): void {
    const p = this.#play;
    if (!p || p.over) return;
    this.#stop("failed", { code });
    p.over = true;
    this.outbox.soon();
  }

  /** left says that nothing is played any more. */
  left(): void {
    this.#leave();
    this.#play = undefined;
  }

  /** interlude says that what sounds is not the track, such as an ad, or that it is again. */
  interlude(on: boolean): void {
    if (on && this.#play?.started && !this.#play.over) this.#stop("paused");
    this.#interlude = on;
  }

  /** ad tells of an ad: what is one of impression, quartile, completed, skipped and error. */
  ad(what: string, about: Told): void {
    this.#tell(`ad-${what}`, { ...about });
  }

  /** report tells what was heard since the last time, and sends. */
  report(): void {
    this.#cut();
    this.#tellHeard();
    this.outbox.flush();
  }

  /** tick looks where the music is. */
  tick(): void {
    this.#advance();
    const a = this.audio;
    if (this.#open || this.#interlude || !this.#play?.started || !this.#settled || a.paused || a.ended || a.seeking || this.#stalled) return;
    // An element says that it plays when it has done so for some moments.
    const gap = a.currentTime - this.#last;
    const from = !this.#jumped && gap >= 0 && gap < moments ? this.#last : a.currentTime;
    this.#open = { from, to: a.currentTime, at: this.now(), rate: a.playbackRate };
  }

  /** shut keeps what was heard until now. */
  #shut(): void {
    this.#advance();
    this.#close();
  }

  /** cut does the same, and goes on. */
  #cut(): void {
    this.#shut();
    this.tick();
  }

  /** advance moves the end of the open stretch, as far as time has really passed. */
  #advance(): void {
    const [o, a] = [this.#open, this.audio];
    if (!o) return;
    const could = o.to + ((this.now() - o.at) / 1000) * o.rate + 0.5;
    if (a.seeking || a.currentTime < o.to || a.currentTime > could) return void this.#close();
    if (a.currentTime > o.to) this.#jumped = false;
    this.#last = o.to = a.currentTime;
    o.at = this.now();
  }

  /** close ends the open stretch and keeps it with its play, in milliseconds of the track. */
  #close(): void {
    const [o, p] = [this.#open, this.#play];
    this.#open = undefined;
    if (!o || !p) return;
    const ms = (s: number) => Math.max(0, Math.round((Math.min(s, p.until) - p.from) * 1000));
    const one: Interval = { from: ms(o.from), to: ms(o.to), ...(o.rate === 1 ? {} : { rate: o.rate }) };
    if (one.to > one.from) p.heard.push(one);
  }

  #fresh(to: string | undefined): Play {
    return {
      id: this.name(), sequence: 0, to, untold: [], release: undefined, from: 0, until: Infinity,
      wanted: this.now(), started: false, over: false, heard: [],
    };
  }

  /** position tells where a time of the element lies in the track: now, unless another is asked for. */
  #position(seconds = this.audio.currentTime): { position_ms: number } {
    return { position_ms: Math.max(0, Math.round((seconds - (this.#play?.from ?? 0)) * 1000)) };
  }

  #tell(type: string, more: Record<string, unknown> = {}): void {
    const p = this.#play;
    if (!p) return;
    const e: Event = { type, play: p.id, sequence: p.sequence++, at: this.now(), ...more };
    if (p.release) e["release"] = p.release;
    if (p.heard.length > 0 && !type.startsWith("ad-")) e["heard"] = p.heard.splice(0, 100);
    if (p.to) this.outbox.add(p.to, e);
    else p.untold.push(e);
  }

  #tellHeard(): void {
    if (this.#play?.heard.length) this.#tell("heard", this.#position());
  }

  #playing(): void {
    const p = this.#play;
    if (!p || this.#interlude) return;
    if (p.over && p.to) this.#again(p);
    if (!p.started && !p.over) this.#begun();
    else if (this.#stalled !== undefined) this.#tell("stalled", { ...this.#position(), took_ms: this.#since(this.#stalled) });
    this.#stalled = undefined;
    this.#settled = true;
    this.tick();
  }

  #since(moment: number): number {
    return Math.min(longest, Math.max(0, Math.round(this.now() - moment)));
  }

  #pressed(): void {
    const p = this.#play;
    if (p && !p.started) p.wanted ??= this.now();
  }

  /** emptied: something else is being loaded, the same track in another quality or with another ticket. */
  #emptied(): void {
    this.#shut();
    this.#stalled = undefined;
    this.#settled = false;
  }

  /** again begins another play of what has ended. */
  #again(p: Play): void {
    this.#play = { ...this.#fresh(p.to), release: p.release, from: p.from, until: p.until };
    this.#tell("requested");
    this.#begun();
  }

  #begun(): void {
    const p = this.#play;
    if (!p) return;
    p.started = true;
    const took = p.wanted === undefined ? {} : { took_ms: this.#since(p.wanted) };
    this.#tell("started", { ...this.#position(), ...took, ...(this.#rendition ? { rendition: this.#rendition } : {}) });
  }

  #paused(): void {
    const p = this.#play;
    if (this.audio.ended || !p || p.over || this.#interlude) return;
    if (!p.started) p.wanted = undefined;
    else this.#stop("paused");
    this.outbox.soon();
  }

  /** stop tells that the music does not go on, and where. */
  #stop(type: string, more: Record<string, unknown> = {}): void {
    this.#shut();
    this.#stalled = undefined;
    this.#tell(type, { ...this.#position(), ...more });
  }

  #waiting(): void {
    this.#shut();
    // Waits at the start and after a jump are no stalls (P.1203).
    if (this.#play?.started && this.#settled && !this.audio.seeking && !this.audio.paused && !this.#interlude) this.#stalled = this.now();
  }

  #seeking(): void {
    const o = this.#open;
    // The element is where it will be; until when it played before is a guess of a quarter of a second at most.
    if (o) this.#last = o.to += Math.min(0.3, Math.max(0, (this.now() - o.at) / 1000)) * o.rate;
    this.#close();
    this.#stalled = undefined;
    const [p, from] = [this.#play, this.#last];
    // To begin with, players jump to where the first sample lies: that skips nothing.
    this.#jumped = Boolean(p?.started) || this.audio.currentTime >= moments;
    this.#last = this.#jumped ? this.audio.currentTime : 0;
    if (!p?.started || p.over || !this.#settled || this.#interlude) return;
    const { position_ms: target_ms } = this.#position();
    const { position_ms } = this.#position(from);
    if (position_ms !== target_ms) this.#tell("seeked", { position_ms, target_ms });
  }

  #ended(): void {
    if (this.#interlude) return;
    this.#shut();
    if (this.#play && !this.#play.over) this.#end();
    this.outbox.soon();
  }

  #end(): void {
    const p = this.#play;
    if (!p) return;
    this.#tell("ended", this.#position());
    p.over = true;
  }

  /** leave ends a play before its end, by the listener's wish. */
  #leave(): void {
    const p = this.#play;
    this.#shut();
    this.#stalled = undefined;
    this.#rendition = "";
    if (!p || p.over) return;
    if (this.audio.ended) this.#tell("ended", this.#position());
    else this.#tell("skipped", p.started ? this.#position() : {});
    p.over = true;
    this.outbox.soon();
  }

  #farewell(): void {
    this.#shut();
    this.#tellHeard();
    this.outbox.farewell();
  }
}

/** random makes a name that nobody else makes. */
function random(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("");
}

/** renditionOf names what is heard as the ladder does, such as aac-160. */
export function renditionOf(q: { family: string; label: string } | undefined): string {
  if (!q) return "";
  return q.family === "FLAC" ? "flac" : `${q.family.toLowerCase()}-${/\d+/.exec(q.label)?.[0] ?? ""}`;
}
