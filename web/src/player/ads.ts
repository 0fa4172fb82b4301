import { signal } from "@preact/signals";
import type Hls from "hls.js";
import type { AssetListJSON } from "hls.js";
import { loudnessIn, type Loudness } from "./loudness";

// Breaks of free listeners: hls.js plays the ads of a playlist on the same audio
// element, with the music detached. Here is what is heard meanwhile, and what is
// told of it.

/** Spot is an ad that is being heard. */
export interface Spot {
  title: string;
  advertiser: string;
  /** Seconds. */
  duration: number;
  left: number;
}

/** Told is what is told of an ad: see the edge's events. */
export interface Told {
  ad?: string;
  break?: string;
  place?: string;
  quartile?: number;
  code?: string;
  position_ms?: number;
}

export type Tell = (what: "impression" | "quartile" | "completed" | "error", about: Told) => void;

/** What is used of the audio element. */
export type AudioLike = Pick<HTMLMediaElement, "addEventListener" | "currentTime" | "paused" | "seeking" | "readyState">;

/** What an asset of our list says beyond the standard. */
interface Asset {
  DURATION?: number | string;
  "X-AD"?: string;
  "X-TITLE"?: string;
  "X-ADVERTISER"?: string;
}

interface Break {
  id: string;
  place: "pre" | "between";
  /** The asset being heard, and how far it has come. */
  asset: (Asset & { seconds: number; told: number }) | undefined;
  /** Where the music was, in seconds. */
  from: number;
  /** The music may go on. */
  over: boolean;
}

const asMusic: Loudness = { integrated: -14, peak: -1 };
const patience = 6_000; // ms in which an ad has to go on, or it is left
const nearlyAll = 0.97; // of an ad, when its end is heard

/** How long the music waits for an answer to which ads there are (AD-9). */
export const listPolicy = {
  default: { maxTimeToFirstByteMs: 1_500, maxLoadTimeMs: 3_000, timeoutRetry: null, errorRetry: null },
};

/**
 * Ads follows the breaks of one hls.js after the other. `on` is true from the moment
 * the music gives way until it sounds again: what the audio element says then is
 * not about the music.
 */
export class Ads {
  readonly spot = signal<Spot | undefined>(undefined);
  readonly on = signal(false);
  /** How loud what is heard is: ads are rendered as loud as music is made (AD-12). */
  readonly loudness = signal<Loudness>(asMusic);

  #hls: Hls | undefined;
  #break: Break | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly audio: AudioLike,
    private readonly tell: Tell,
    /** The music goes on. */
    private readonly resumed: () => void = () => undefined,
  ) {
    for (const type of ["timeupdate", "playing", "seeked"]) audio.addEventListener(type, () => this.#tick());
    audio.addEventListener("pause", () => this.#calm());
  }

  /** follow listens to a player that begins. */
  follow(HlsClass: Pick<typeof Hls, "Events" | "ErrorDetails">, hls: Hls): void {
    this.forget();
    this.#hls = hls;
    const { Events, ErrorDetails } = HlsClass;
    const mine = () => this.#hls === hls;
    hls.on(Events.INTERSTITIAL_STARTED, (_e, { event }) => {
      if (mine()) this.#start(event.identifier, event.cue.pre);
    });
    hls.on(Events.INTERSTITIAL_ASSET_PLAYER_CREATED, (_e, { player }) => {
      player.hls?.on(Events.MANIFEST_LOADED, (_m, data) => {
        this.loudness.value = loudnessIn(data) ?? asMusic;
      });
    });
    hls.on(Events.INTERSTITIAL_ASSET_STARTED, (_e, { event, asset, assetListIndex }) => {
      if (mine()) this.#heard(event.assetListResponse, assetListIndex, asset.duration ?? 0);
    });
    hls.on(Events.INTERSTITIAL_ASSET_ENDED, () => mine() && this.#assetEnded());
    hls.on(Events.INTERSTITIAL_ASSET_ERROR, (_e, { error }) => mine() && this.#failed(error.message));
    hls.on(Events.INTERSTITIAL_ENDED, () => mine() && this.#ended());
    hls.on(Events.ERROR, (_e, { details, interstitial }) => {
      const list = [ErrorDetails.ASSET_LIST_LOAD_ERROR, ErrorDetails.ASSET_LIST_LOAD_TIMEOUT, ErrorDetails.ASSET_LIST_PARSING_ERROR];
      if (mine() && list.includes(details)) this.tell("error", { break: interstitial?.identifier ?? "", code: details });
    });
  }

  /** forget ends what goes on; the player is gone. */
  forget(): void {
    this.#calm();
    this.#hls = undefined;
    this.#break = undefined;
    this.spot.value = undefined;
    this.on.value = false;
  }

  #start(id: string, pre: boolean): void {
    this.#break = { id, place: pre ? "pre" : "between", asset: undefined, from: this.audio.currentTime, over: false };
    this.on.value = true;
  }

  #heard(list: AssetListJSON | null, index: number, duration: number): void {
    const b = this.#break;
    if (!b) return;
    this.on.value = true;
    const asset = (list?.ASSETS[index] ?? {}) as Asset;
    const seconds = Number(asset.DURATION) || duration;
    b.asset = { ...asset, seconds, told: -1 };
    this.spot.value = { title: asset["X-TITLE"] ?? "", advertiser: asset["X-ADVERTISER"] ?? "", duration: seconds, left: seconds };
    this.#worry();
  }

  #tick(): void {
    const b = this.#break;
    if (!b) return;
    if (b.over) {
      this.#leave();
      return;
    }
    if (!b.asset && this.#goesOn(b)) {
      this.#sounds(); // what should be heard instead has not come, and nothing waits for it.
      return;
    }
    const spot = this.spot.value;
    const { asset } = b;
    if (!asset || !spot || this.#hls?.media === this.audio || this.audio.seeking) return;
    const at = this.audio.currentTime;
    if (at <= 0 || this.audio.paused) return;
    if (at !== spot.duration - spot.left) this.#worry();
    this.spot.value = { ...spot, left: Math.max(0, asset.seconds - at) };
    this.#report(asset.seconds > 0 ? at / asset.seconds : 0);
  }

  /** report tells the marks that were passed, each once (VAST-3, VAST-4). */
  #report(share: number): void {
    const { asset } = this.#break ?? {};
    if (!asset) return;
    for (; asset.told < Math.min(3, Math.floor(share * 4)); asset.told++) {
      const quartile = asset.told + 1;
      if (quartile === 0) this.tell("impression", this.#about());
      else this.tell("quartile", { ...this.#about(), quartile });
    }
  }

  #about(): Told {
    const b = this.#break;
    return {
      ...(b?.asset?.["X-AD"] ? { ad: b.asset["X-AD"] } : {}),
      break: b?.id ?? "", place: b?.place ?? "", position_ms: Math.round(this.audio.currentTime * 1000),
    };
  }

  #assetEnded(): void {
    const { asset } = this.#break ?? {};
    const spot = this.spot.value;
    if (!asset || !spot) return;
    if (asset.told >= 0 && spot.left <= asset.seconds * (1 - nearlyAll) + 0.5) {
      this.#report(1);
      this.tell("completed", { ...this.#about(), position_ms: Math.round(asset.seconds * 1000) });
    }
    asset.told = 3;
  }

  #failed(message: string): void {
    this.tell("error", { ...this.#about(), code: message.replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, 60) || "unknown" });
  }

  #ended(): void {
    this.#calm();
    this.spot.value = undefined;
    if (!this.#break) return;
    this.#break.over = true;
    this.#leave();
  }

  #goesOn(b: Break): boolean {
    return this.#hls?.media === this.audio && !this.audio.paused && !this.audio.seeking && this.audio.currentTime > b.from + 0.2;
  }

  #sounds(): void {
    if (!this.on.peek()) return;
    this.on.value = false;
    this.resumed();
  }

  /** leave waits until the music has the audio element back, where it was. */
  #leave(): void {
    if (this.#hls?.media !== this.audio || this.audio.seeking || (this.audio.readyState < 2 && this.#break?.asset)) return;
    this.#break = undefined;
    this.#sounds();
  }

  /** worry leaves an ad that does not go on: music is not kept waiting. */
  #worry(): void {
    this.#calm();
    this.#watch = setTimeout(() => {
      if (!this.#break?.asset || this.#break.over || this.audio.paused) return;
      this.#failed("slow");
      this.#hls?.interstitialsManager?.skip();
    }, patience);
  }

  #calm(): void {
    clearTimeout(this.#watch);
    this.#watch = undefined;
  }
}
