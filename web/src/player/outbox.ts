import { rebased } from "./address";

// What there is to tell the edge waits here until it says that it has kept it.

/** Event is one thing that happened, as the events address of a playlist takes it. */
export interface Event {
  type: string;
  play: string;
  sequence: number;
  /** Milliseconds since 1970, by this machine's clock. */
  at: number;
  [more: string]: unknown;
}

interface Letter {
  to: string;
  event: Event;
}

/** Post is how letters travel and are kept; the browser's own unless a test brings another. */
export interface Post {
  fetch(url: string, init: RequestInit): Promise<{ status: number; headers: { get(name: string): string | null } }>;
  /** Sends without an answer, when the page goes. */
  beacon(url: string, body: string): boolean;
  storage: Pick<Storage, "getItem" | "setItem" | "removeItem"> | undefined;
  now(): number;
  later(run: () => void, ms: number): void;
}

const most = 500; // letters kept; of more, the oldest are given up.
const room = 48_000; // characters of letters in one envelope: the edge takes 64 KB.
const together = 100; // letters in one envelope.
const moment = 1_500; // ms
const firstPause = 2_000;
const longestPause = 60_000;
const tooOld = 24 * 3600_000; // the edge takes nothing older.
const name = "melodyud.untold";

/**
 * Outbox delivers events at least once, in order, one envelope at a time. What was
 * not acknowledged survives a reload of the page: the edge knows events that it is
 * told again.
 */
export class Outbox {
  #letters: Letter[];
  #sending = false;
  #failures = 0;
  /** Nothing is sent before that moment. */
  #quiet = 0;

  constructor(private readonly post: Post = browser()) {
    this.#letters = this.#recalled();
  }

  get waiting(): number {
    return this.#letters.length;
  }

  add(to: string, event: Event): void {
    this.#letters.push({ to, event });
    if (this.#letters.length > most) this.#letters.splice(0, this.#letters.length - most);
  }

  /** move sends what waits for addresses that begin with one thing to those that begin with another. */
  move(from: string, to: string): void {
    for (const l of this.#letters) l.to = rebased(l.to, from, to);
  }

  /** flush sends what waits, unless that is being done or a pause was asked for. */
  flush(): void {
    this.#keep();
    if (this.#sending || this.#letters.length === 0 || this.post.now() < this.#quiet) return;
    this.#sending = true;
    const some = this.#envelope();
    const init = { method: "POST", body: this.#body(some), keepalive: true, credentials: "omit", headers: { "Content-Type": "text/plain;charset=UTF-8" } } as const;
    this.post.fetch(some[0]?.to ?? "", init).then(
      (answer) => this.#answered(some, answer.status, Number(answer.headers.get("Retry-After"))),
      () => this.#answered(some, 0, 0),
    );
  }

  /** soon sends when what happens now is over: the next track may be about to start. */
  soon(): void {
    this.post.later(() => this.flush(), moment);
  }

  /** farewell sends what waits when the page may be going. It stays until somebody acknowledges it. */
  farewell(): void {
    this.#keep();
    const told = new Set<Letter>();
    for (let some = this.#envelope(told); some.length > 0; some = this.#envelope(told)) {
      if (!this.post.beacon(some[0]?.to ?? "", this.#body(some))) return;
      for (const letter of some) told.add(letter);
    }
  }

  /** envelope is the oldest letters to the address of the first one. */
  #envelope(but: ReadonlySet<Letter> = new Set()): Letter[] {
    const rest = this.#letters.filter((l) => !but.has(l));
    const same = rest.filter((l) => l.to === rest[0]?.to).slice(0, together);
    let size = 0;
    const fits = same.findIndex((l) => (size += JSON.stringify(l.event).length + 1) > room);
    return fits < 0 ? same : same.slice(0, Math.max(1, fits));
  }

  #body(some: Letter[]): string {
    return JSON.stringify({ sent: this.post.now(), events: some.map((l) => l.event) });
  }

  #answered(some: Letter[], status: number, retryAfter: number): void {
    this.#sending = false;
    const again = status === 0 || status === 429 || status >= 500;
    if (again) {
      const pause = Math.min(longestPause, firstPause * 2 ** Math.min(10, this.#failures++));
      const wait = Math.max(pause, Number.isFinite(retryAfter) ? retryAfter * 1000 : 0);
      this.#quiet = this.post.now() + wait;
      this.post.later(() => this.flush(), wait + 10);
      return;
    }
    // Kept, or refused for good: telling it again would change nothing.
    this.#failures = 0;
    const done = new Set(some);
    this.#letters = this.#letters.filter((l) => !done.has(l));
    this.#keep();
    if (this.#letters.length > 0) this.flush();
  }

  #keep(): void {
    try {
      if (this.#letters.length === 0) this.post.storage?.removeItem(name);
      else this.post.storage?.setItem(name, JSON.stringify(this.#letters));
    } catch {
      // Full or forbidden storage: what waits lives as long as the page.
    }
  }

  #recalled(): Letter[] {
    try {
      const old = JSON.parse(this.post.storage?.getItem(name) ?? "[]") as Letter[];
      return old.filter((l) => typeof l.to === "string" && l.event.at > this.post.now() - tooOld).slice(-most);
    } catch {
      return [];
    }
  }
}

function browser(): Post {
  return {
    fetch: (url, init) => fetch(url, init),
    beacon: (url, body) => navigator.sendBeacon?.(url, body) ?? false,
    storage: storage(),
    now: () => Date.now(),
    later: (run, ms) => void setTimeout(run, ms),
  };
}

function storage(): Storage | undefined {
  try {
    return sessionStorage;
  } catch {
    return undefined;
  }
}
