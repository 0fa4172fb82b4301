import { api } from "../api/client";
import type { ListPlayback, Renewal } from "../api/types";
import { rebased } from "./address";
import { startBandwidth } from "./engine";
import { Memory } from "./memory";
import { device } from "./settings";

/** Ticket is what may be played now, and where it is. */
export interface Ticket {
  url: string;
  hifi?: string | undefined;
  native?: string | undefined;
  nativeHifi?: string | undefined;
  bounds?: number[];
  /** What came with it, of which rendition, and whether that is of the hi-fi playlist. */
  memory?: Memory | undefined;
  rendition?: string | undefined;
  lossless?: boolean;
  /** When it had best be renewed, and when it ends: milliseconds since 1970. */
  renew: number;
  expires: number;
  session: string;
}

/** trackTicket asks for the playback of one track: "<id> hifi" or "<id> standard". */
export async function trackTicket(key: string): Promise<Ticket> {
  const [id = "", family] = key.split(" ");
  const hifi = family === "hifi";
  const p = await api.playbackNow(id, wish(hifi));
  return {
    ...termsOf(p), url: p.url, hifi: p.hifi_url,
    memory: p.start && Memory.of(p.url, p.start.files), rendition: p.start?.rendition, lossless: hifi && p.hifi_url !== undefined,
  };
}

const wish = (hifi: boolean) => ({ hifi, bandwidth: startBandwidth(), device: device() });

/** albumTicket asks for the playback of an album, and its tracks. */
export async function albumTicket(id: string, hifi: boolean): Promise<{ ticket: Ticket; tracks: ListPlayback["tracks"] }> {
  const p = await api.albumPlayback(id, wish(hifi));
  const last = p.tracks.at(-1);
  const end = (last?.start_seconds ?? 0) + (last?.track.release?.duration_seconds ?? 0);
  const ticket = {
    ...termsOf(p), url: p.exact_url, hifi: p.exact_hifi_url, native: p.url, nativeHifi: p.hifi_url,
    memory: p.start && Memory.of(p.exact_url, p.start.files), rendition: p.start?.rendition, lossless: hifi && p.exact_hifi_url !== undefined,
    bounds: [...p.tracks.map((t) => t.start_seconds), end],
  };
  return { ticket, tracks: p.tracks };
}

interface Terms {
  renew?: string;
  expires: string;
  session?: string;
}

function termsOf(p: Terms): Pick<Ticket, "renew" | "expires" | "session"> {
  const expires = Date.parse(p.expires);
  const renew = Date.parse(p.renew ?? "");
  return { expires, renew: Number.isFinite(renew) ? renew : expires, session: p.session ?? "" };
}

/** moveTo changes a ticket into its renewed form. */
function moveTo(t: Ticket, p: Renewal): void {
  const at = (url: string) => rebased(url, p.was, p.base);
  t.url = at(t.url);
  for (const k of ["hifi", "native", "nativeHifi"] as const) if (t[k] !== undefined) t[k] = at(t[k]);
  Object.assign(t, termsOf({ session: t.session, ...p }));
}

/** The longest that a browser's timer counts: some 24 days. */
const longest = 2 ** 31 - 1;
/** Between tries to renew, in milliseconds. */
const pause = 30_000;

/** Renewing keeps a ticket valid while it is in use, without a stop of the music. */
export class Renewing {
  #moved: (from: string, to: string) => void;
  #ticket: Ticket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** moved is told what addresses began with, and what they begin with now. */
  constructor(moved: (from: string, to: string) => void) {
    this.#moved = moved;
  }

  /** follow renews a ticket from now on, in place of any other. */
  follow(t: Ticket): void {
    this.stop();
    this.#ticket = t;
    if (Number.isFinite(t.renew)) this.#after(t.renew - Date.now());
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#ticket = undefined;
  }

  #after(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.now(), Math.min(longest, Math.max(pause / 10, ms)));
  }

  /** now renews the ticket at once, and tells whether it could. */
  async now(): Promise<boolean> {
    const t = this.#ticket;
    if (!t || t.renew - Date.now() > longest) return false;
    const p = await api.renew(t.url).catch(() => undefined);
    if (t !== this.#ticket) return false;
    if (p) {
      this.#moved(p.was, p.base);
      moveTo(t, p);
    }
    this.#after(p ? t.renew - Date.now() : pause); // at worst the player asks for another ticket.
    return p !== undefined;
  }
}
