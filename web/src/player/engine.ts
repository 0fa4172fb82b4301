import { batch, signal } from "@preact/signals";
import type Hls from "hls.js";
import type { ErrorData, HlsConfig, Level } from "hls.js";
import { hold, release } from "../ui/later";
import { absolute, rebased } from "./address";
import { Ads, listPolicy, type Tell } from "./ads";
import { followCodecs } from "./codecs";
import { findFlac, type FlacFormat } from "./flac";
import { cutAtJoins } from "./joins";
import { loadersFor, type Desk, type Refusal, type Seen } from "./loader";
import { loudnessIn, type Loudness } from "./loudness";
import type { Memory } from "./memory";
import { describe, familyOf, idOf, type Quality } from "./quality";
import { remember, remembered } from "./settings";

export type Sound = "idle" | "loading" | "playing" | "paused" | "stalled" | "ended" | "failed";

export interface Range {
  from: number;
  to: number;
}

/** What is to be played, and where from. */
export interface Load {
  url: string;
  /** Start in FLAC (the hi-fi playlist holds AAC too). */
  lossless: boolean;
  /** Seconds. */
  at: number;
  play: boolean;
  /** Of tracks that play as one: where each begins, and where the last ends. */
  bounds?: readonly number[] | undefined;
  /** The address for a browser that plays HLS itself, where it differs. */
  native?: string | undefined;
  /** What is known of the addresses already, and the rendition it begins with. */
  memory?: Memory | undefined;
  rendition?: string | undefined;
  /** Names the play towards the edge. */
  session?: string | undefined;
}

/** Trouble says why the engine cannot go on by itself. */
export type Trouble =
  | "slow" // the sound stopped for want of data
  | "ticket" // the address is no longer valid
  | "refused" // the listener may not hear this here and now: see refusal
  | "network"
  | "media"; // this browser cannot play it

const stallPatience = 2_500; // ms without sound before it counts as slow
const startPatience = 8_000; // the same before the first sound
const leastBandwidth = 64_000; // bits per second
/** How long what is no longer heard may stay, in ms. */
const cleaning = 2_000;
const auto = -1;
/** With less than this ahead, in seconds, the sound waits for every piece of a segment. */
const hurried = 2;

/**
 * Engine plays one address at a time on one audio element and tells what it does
 * through signals. It decides nothing about tracks, tickets or hi-fi: it reports
 * trouble and its owner decides.
 */
export class Engine {
  readonly audio: HTMLAudioElement;
  readonly sound = signal<Sound>("idle");
  readonly position = signal(0);
  readonly duration = signal(0);
  readonly buffered = signal<Range[]>([]);
  readonly qualities = signal<Quality[]>([]);
  /** The quality being heard. */
  readonly heard = signal<Quality | undefined>(undefined);
  /** The level index asked for, or -1 for automatic. */
  readonly asked = signal(auto);
  /** What the playlist says of how loud the sound is. */
  readonly loudness = signal<Loudness | undefined>(undefined);
  /** What went on since the load. */
  readonly counts = signal({ switches: 0, stalls: 0 });
  /** Why the edge refused to go on, if it did. */
  refusal: Refusal | undefined;
  /** The last answer of the edge. */
  readonly seen = signal<Seen | undefined>(undefined);
  /** Milliseconds from being told to play to the first sound; undefined until then. */
  readonly startup = signal<number | undefined>(undefined);
  hls: Hls | undefined;
  /** The breaks: while one is on, what sounds is not the music. */
  readonly ads: Ads;
  /** Hears what is told of ads. */
  onAd: Tell = () => undefined;

  #onTrouble: (t: Trouble) => void;
  #levels: Level[] = [];
  #flac = new Map<number, FlacFormat>();
  #patience: ReturnType<typeof setTimeout> | undefined;
  #generation = 0;
  #repaired = 0;
  #started = false;
  #class: typeof Hls | undefined;
  /** Attached to the audio element before there is anything to play. */
  #ready: Hls | undefined;
  #memory: Memory | undefined;
  /** What addresses begin with, and what instead since the ticket was renewed. */
  #moved: { from: string; to: string } | undefined;
  #pressed = 0;
  /** The bandwidth that was stored last. */
  #known = remembered("bandwidth", 0);

  constructor(onTrouble: (t: Trouble) => void, onEnded: () => void) {
    this.#onTrouble = onTrouble;
    this.audio = new Audio();
    this.audio.preload = "auto";
    this.ads = new Ads(this.audio, (what, about) => this.onAd(what, about), () => this.#resumed());
    this.#listen(onEnded);
  }

  #listen(onEnded: () => void): void {
    const a = this.audio;
    const set = (s: Sound) => () => {
      if (this.sound.value !== "failed") this.sound.value = s;
    };
    a.addEventListener("timeupdate", () => this.#tick());
    a.addEventListener("seeking", () => this.#tick());
    a.addEventListener("progress", () => this.#readBuffered());
    a.addEventListener("durationchange", () => {
      if (!this.ads.on.value) this.duration.value = Number.isFinite(a.duration) ? a.duration : 0;
    });
    a.addEventListener("playing", () => {
      if (!this.#started) this.startup.value = performance.now() - this.#pressed;
      this.#started = true;
      this.#calm();
      set("playing")();
      release();
    });
    a.addEventListener("pause", () => {
      this.#calm();
      if (!a.ended) set("paused")();
    });
    a.addEventListener("waiting", () => {
      set(this.#started ? "stalled" : "loading")();
      if (this.#started && !a.seeking) this.#count("stalls");
      this.#worry();
    });
    a.addEventListener("ended", () => {
      if (this.ads.on.value) return;
      set("ended")();
      onEnded();
    });
    a.addEventListener("error", () => {
      if (!this.hls && a.error) this.#trouble(a.error.code === MediaError.MEDIA_ERR_NETWORK ? "network" : "media");
    });
  }

  /** warm gets everything ready that does not depend on what will be played. */
  async warm(): Promise<void> {
    await this.#player().catch(() => undefined); // load says it better, should it be missed.
    if (this.#class?.isSupported() && !this.hls && !this.#ready) this.#ready = this.#attached(this.#class);
  }

  async #player(): Promise<typeof Hls> {
    return (this.#class ??= (await import("hls.js")).default);
  }

  /** pressed is when the listener asked for what is loaded next; the start-up time counts from it. */
  pressed(): void {
    hold(0); // for what can be loaded in the same task.
    this.#pressed = performance.now();
  }

  /** load replaces what is playing. Later loads win over slower, earlier ones. */
  async load(what: Load): Promise<void> {
    const mine = ++this.#generation;
    if (what.play) hold();
    batch(() => {
      this.#reset();
      this.sound.value = "loading";
    });
    // Without a wait where there is nothing to wait for.
    const HlsClass = this.#class ?? (await this.#player());
    if (mine !== this.#generation) return;
    // Chromium claims native HLS but hls.js does it better: ask hls.js first (HLS-84).
    if (HlsClass.isSupported()) this.#begin(HlsClass, what);
    else this.#native(what);
    if (what.play) this.play();
    else this.sound.value = "paused";
  }

  /** stop lets go of everything. */
  stop(): void {
    this.#generation++;
    batch(() => {
      this.#reset();
      this.sound.value = "idle";
    });
    if (this.#ready || !this.audio.hasAttribute("src")) return;
    this.audio.removeAttribute("src");
    this.audio.load(); // without it a native player goes on with what it had.
  }

  #reset(): void {
    this.#calm();
    this.ads.forget();
    this.#leave();
    this.#memory = undefined;
    this.#moved = undefined;
    this.refusal = undefined;
    this.loudness.value = undefined;
    this.counts.value = { switches: 0, stalls: 0 };
    this.#levels = [];
    this.#flac.clear();
    this.#repaired = 0;
    this.#started = false;
    this.qualities.value = [];
    this.heard.value = undefined;
    this.asked.value = auto;
    this.buffered.value = [];
    this.startup.value = undefined;
  }

  /**
   * leave silences the player that plays and gets the next one ready in its place: the
   * audio element turns to it at once, without being emptied first. What else there is
   * to take down can wait; not where breaks are, which have players of their own.
   */
  #leave(): void {
    const left = this.hls;
    if (!left || !this.#class) return;
    const plain = left.media === this.audio && !left.interstitialsManager?.events.length;
    if (!plain) left.destroy();
    this.#ready = this.#attached(this.#class);
    this.hls = undefined;
    if (!plain) return;
    left.stopLoad();
    left.detachMedia();
    setTimeout(() => left.destroy(), cleaning);
  }

  /** keep remembers what the connection brings; storing it takes time, so not for every little change. */
  #keep(bandwidth: number): void {
    if (!(bandwidth > 0) || Math.abs(bandwidth - this.#known) < this.#known / 10) return;
    this.#known = bandwidth;
    remember("bandwidth", Math.round(bandwidth));
  }

  #native(what: Load): void {
    const a = this.audio;
    if (!a.canPlayType("application/vnd.apple.mpegurl")) {
      this.#trouble("media");
      return;
    }
    a.src = what.native ?? what.url;
    if (what.at > 0) a.addEventListener("loadedmetadata", () => (a.currentTime = what.at), { once: true });
  }

  /** attached returns a player that holds the audio element and waits for an address. */
  #attached(HlsClass: typeof Hls): Hls {
    const hls = new HlsClass({
      ...config,
      ...loadersFor(HlsClass, this.#desk()),
      bufferController: followCodecs(HlsClass.DefaultConfig.bufferController),
      abrEwmaDefaultEstimate: Math.max(leastBandwidth, this.bandwidth()),
    });
    // Where pieces are on, hls.js decrypts by itself, slowly; ours are not in pieces when encrypted.
    hls.config.enableSoftwareAES = false;
    hls.attachMedia(this.audio);
    return hls;
  }

  #desk(): Desk {
    const engine = this;
    return {
      get memory() {
        return engine.#memory;
      },
      hurry: () => engine.ahead() < hurried,
      bandwidth: () => engine.bandwidth(),
      saw: (what) => (engine.seen.value = what),
      moved: (url) => engine.#nowAt(url),
      refused: (what) => {
        if (!engine.ads.on.peek()) engine.refusal = what; // else it is about an ad, which is passed over.
      },
    };
  }

  /** move has what begins with one address asked for at another from now on. */
  move(from: string, to: string): void {
    const first = this.#moved?.to === absolute(from) ? this.#moved.from : absolute(from);
    this.#moved = { from: first, to: absolute(to) };
  }

  /** goOn loads again after a trouble that is over. */
  goOn(): void {
    this.refusal = undefined;
    this.hls?.startLoad(-1);
  }

  #nowAt(url: string): string {
    const m = this.#moved;
    return m ? rebased(absolute(url), m.from, m.to) : url;
  }

  #count(what: "switches" | "stalls"): void {
    this.counts.value = { ...this.counts.value, [what]: this.counts.value[what] + 1 };
  }

  /** bandwidth is what the connection is thought to bring, in bits per second. */
  bandwidth(): number {
    return this.hls?.bandwidthEstimate || startBandwidth();
  }

  /** ahead is how many seconds can be heard from here on without another byte. */
  ahead(): number {
    const { buffered, currentTime } = this.audio;
    for (let i = 0; i < buffered.length; i++) {
      if (buffered.start(i) <= currentTime + 0.1 && buffered.end(i) > currentTime) return buffered.end(i) - currentTime;
    }
    return 0;
  }

  #begin(HlsClass: typeof Hls, what: Load): void {
    const hls = this.#ready ?? this.#attached(HlsClass);
    this.#ready = undefined;
    this.hls = hls;
    this.#memory = what.memory;
    hls.config.startPosition = what.at > 0 ? what.at : -1;
    if (what.session) hls.config.cmcd = { ...hls.config.cmcd, sessionId: what.session };
    const { Events } = HlsClass;
    this.ads.follow(HlsClass, hls);
    hls.on(Events.MANIFEST_LOADED, (_e, data) => {
      this.loudness.value = loudnessIn(data);
    });
    hls.on(Events.MANIFEST_PARSED, (_e, data) => {
      this.#levels = data.levels;
      const known = data.levels.findIndex((l) => what.rendition !== undefined && idOf(l) === what.rendition);
      if (known >= 0) hls.startLevel = known;
      else if (what.lossless) hls.startLevel = cheapestLossless(data.levels);
      this.#describe();
    });
    hls.on(Events.FRAG_LOADED, (_e, data) => {
      this.#learn(data.frag.level, data.frag.initSegment?.data);
      this.#keep(hls.bandwidthEstimate);
    });
    hls.on(Events.BUFFER_CREATED, (_e, data) => {
      const buffer = data.tracks.audio?.buffer;
      if (what.bounds && buffer) cutAtJoins(buffer, what.bounds);
    });
    hls.on(Events.LEVEL_SWITCHED, (_e, data) => {
      if (this.heard.value && this.heard.value.index !== data.level) this.#count("switches");
      this.heard.value = this.qualities.value[data.level];
    });
    hls.on(Events.ERROR, (_e, data) => this.hls === hls && this.#hlsError(HlsClass, data));
    hls.loadSource(what.url);
  }

  /** learn reads what the playlist does not tell (HLS-19): the bits and rate of a FLAC level. */
  #learn(index: number, init: Uint8Array | null | undefined): void {
    if (!init || this.#flac.has(index) || familyOf(this.#levels[index]?.audioCodec) !== "FLAC") return;
    const format = findFlac(init);
    if (format) this.#flac.set(index, format);
    this.#describe();
  }

  #describe(): void {
    const heard = this.heard.value?.index;
    this.qualities.value = this.#levels.map((l, i) => describe(l, i, this.#flac.get(i)));
    if (heard !== undefined) this.heard.value = this.qualities.value[heard];
  }

  #hlsError(HlsClass: typeof Hls, data: ErrorData): void {
    const refused = this.refusal;
    if (refused && final(refused)) return this.#trouble("refused");
    if (!data.fatal) return;
    const status = data.response?.code ?? 0;
    if (status === 401 || status === 403 || status === 410) this.#trouble("ticket");
    else if (data.type === HlsClass.ErrorTypes.NETWORK_ERROR) this.#trouble("network");
    else if (data.type === HlsClass.ErrorTypes.MEDIA_ERROR && this.#repaired++ < 2) this.hls?.recoverMediaError();
    else this.#trouble("media");
  }

  #trouble(t: Trouble): void {
    this.#calm();
    this.#onTrouble(t);
  }

  /** fail shows that playing has ended in an error, and asks for nothing more: what still came would speak against the next try. */
  fail(): void {
    this.#calm();
    this.hls?.stopLoad();
    this.audio.pause();
    this.sound.value = "failed";
  }

  #worry(): void {
    this.#patience ??= setTimeout(() => {
      this.#patience = undefined;
      if (!this.audio.paused) this.#onTrouble("slow");
    }, this.#started ? stallPatience : startPatience);
  }

  #calm(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
  }

  /** resumed: the audio element has the music again. */
  #resumed(): void {
    if (Number.isFinite(this.audio.duration)) this.duration.value = this.audio.duration;
    this.#tick();
  }

  /** now is where the music is, or waits, in seconds. */
  get now(): number {
    return this.ads.on.value ? this.position.value : this.audio.currentTime;
  }

  #tick(): void {
    if (this.ads.on.value) return;
    this.position.value = this.audio.currentTime;
    this.#readBuffered();
  }

  #readBuffered(): void {
    const b = this.audio.buffered;
    this.buffered.value = Array.from({ length: b.length }, (_, i) => ({ from: b.start(i), to: b.end(i) }));
  }

  play(): void {
    if (this.sound.value !== "playing") this.#worry();
    this.audio.play().catch((err: unknown) => {
      // A newer load interrupts an older play; that is no fault. A browser that
      // wants a click first leaves the music paused, and the button says so.
      if (err instanceof DOMException && err.name === "NotAllowedError") {
        this.#calm();
        this.sound.value = "paused";
      }
    });
  }

  pause(): void {
    this.audio.pause();
    this.#calm();
    if (this.sound.value !== "failed" && this.sound.value !== "idle") this.sound.value = "paused";
  }

  /** seek goes to a time in seconds, kept inside the track. */
  seek(to: number): void {
    if (this.ads.on.value) return;
    const end = this.duration.value;
    this.audio.currentTime = Math.min(Math.max(0, to), end > 0 ? Math.max(0, end - 0.05) : to);
    this.position.value = this.audio.currentTime;
  }

  /** choose asks for a level, or for automatic choice with -1. */
  choose(index: number): void {
    if (!this.hls) return;
    this.hls.nextLevel = index;
    this.asked.value = index;
  }
}

function cheapestLossless(levels: Level[]): number {
  return levels.findIndex((l) => familyOf(l.audioCodec) === "FLAC");
}

/** Refusals that pass by themselves, or with another ticket. */
const passing = ["ticket.expired", "ticket.invalid", "playback.not-found", "playback.unavailable", "playback.too-fast"];

/** final tells the refusals that asking again does not help against. */
function final(r: Refusal): boolean {
  return r.status >= 400 && !r.code.startsWith("http.") && !passing.includes(r.code);
}

/** startBandwidth is what is expected of the connection, in bits per second. */
export function startBandwidth(): number {
  return Math.max(leastBandwidth, remembered("bandwidth", 1_000_000));
}

/** config tunes hls.js for sound that starts at once and survives a tunnel. */
const config: Partial<HlsConfig> = {
  // In the query, as headers would ask for leave first; the edge tells caches not to mind it.
  cmcd: { includeKeys: ["bl", "br", "d", "mtp", "ot", "sf", "sid", "st", "su"] },
  // fMP4 needs no transmuxing: a worker would only cost time, and a blob: in the page's policy.
  enableWorker: false,
  startFragPrefetch: true,
  // Pieces of a segment are appended as they come; our loader says when.
  progressive: true,
  // Start at the level the last known bandwidth affords instead of testing with the lowest.
  testBandwidth: false,
  maxBufferLength: 45,
  maxMaxBufferLength: 90,
  backBufferLength: 60,
  lowLatencyMode: false,
  interstitialAssetListLoadPolicy: listPolicy,
};
