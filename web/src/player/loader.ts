import type Hls from "hls.js";
import type {
  FragmentLoaderContext, HlsConfig, Loader, LoaderCallbacks, LoaderConfiguration, LoaderStats, PlaylistLoaderContext,
} from "hls.js";
import { problemToError } from "../api/client";
import { absolute } from "./address";
import { Chunks } from "./chunks";
import type { File, Memory } from "./memory";

// The loaders we give hls.js: they answer from memory what is there, and hand over
// segments in pieces while the sound waits for them.

/** Seen is what was learnt from one answer of the edge. */
export interface Seen {
  url: string;
  /** Cache-Status, where the edge told. */
  cache: string;
  /** Server-Timing, where the edge told. */
  timing: string;
  /** Bytes that came over the network. */
  bytes: number;
  /** Milliseconds from asking to the first byte, and to the last. */
  first: number;
  whole: number;
}

/** Desk is what the loaders need of the engine. */
export interface Desk {
  readonly memory: Memory | undefined;
  /** Whether the sound waits for the next piece. */
  hurry(): boolean;
  /** Bits per second, as estimated. */
  bandwidth(): number;
  saw(what: Seen): void;
  /** Where an address of this playback is now. */
  moved(url: string): string;
  refused(what: Refusal): void;
}

/** Refusal is what the edge said instead of an answer. */
export interface Refusal {
  status: number;
  /** Stable; "" where there was none. */
  code: string;
  text: string;
}

type Loaders = Pick<HlsConfig, "pLoader" | "fLoader">;
type Callbacks = LoaderCallbacks<FragmentLoaderContext>;

/** loadersFor makes the loaders of one hls.js. */
export function loadersFor(HlsClass: typeof Hls, desk: Desk): Loaders {
  return { pLoader: playlists(HlsClass, desk), fLoader: fragments(desk) } as unknown as Loaders;
}

function playlists(HlsClass: typeof Hls, desk: Desk) {
  const Base = HlsClass.DefaultConfig.loader as unknown as new (config: HlsConfig) => Loader<PlaylistLoaderContext>;
  return class extends Base {
    override load(context: PlaylistLoaderContext, config: LoaderConfiguration, callbacks: LoaderCallbacks<PlaylistLoaderContext>): void {
      const file = desk.memory?.get(context.url);
      if (!file) {
        context.url = desk.moved(context.url);
        return super.load(context, config, this.#listening(callbacks));
      }
      const { stats } = this;
      this.context = context;
      const now = performance.now();
      stats.loading = { start: now, first: now, end: now };
      stats.loaded = stats.total = file.body.length;
      const data = new TextDecoder().decode(file.body);
      queueMicrotask(() => this.context && callbacks.onSuccess({ url: absolute(context.url), data, code: 200 }, stats, context, null));
    }

    #listening(callbacks: LoaderCallbacks<PlaylistLoaderContext>): LoaderCallbacks<PlaylistLoaderContext> {
      return {
        ...callbacks,
        onError: (error, context, details, stats) => {
          desk.refused(refusalOf(error.code, details instanceof XMLHttpRequest ? String(details.response ?? "") : ""));
          callbacks.onError(error, context, details, stats);
        },
      };
    }
  };
}

function fragments(desk: Desk) {
  return class extends FragmentLoader {
    constructor() {
      super(desk);
    }
  };
}

/** Refused is an answer other than success. */
class Refused extends Error {
  constructor(readonly answer: Response) {
    super(answer.statusText);
  }
}

function refusalOf(status: number, body: string): Refusal {
  const { code, message } = problemToError(status, body);
  return { status, code, text: message };
}

class FragmentLoader implements Loader<FragmentLoaderContext> {
  context: FragmentLoaderContext | null = null;
  stats: LoaderStats = freshStats();
  #desk: Desk;
  #callbacks: Callbacks | undefined;
  #abort = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #answer: Response | null = null;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  load(context: FragmentLoaderContext, config: LoaderConfiguration, callbacks: Callbacks): void {
    this.context = context;
    this.#callbacks = callbacks;
    this.stats.loading.start = performance.now();
    this.#run(context, config).then(
      (data) => this.#finish(context, data),
      (err: unknown) => this.#fail(context, err),
    );
  }

  async #run(context: FragmentLoaderContext, config: LoaderConfiguration): Promise<ArrayBuffer> {
    const sink = this.#sink(context);
    const kept = context.rangeEnd ? undefined : this.#desk.memory?.get(context.url);
    await Promise.resolve(); // hls.js is not ready for an answer within load.
    if (kept) sink.push(kept.body);
    if (kept && kept.body.length >= kept.size) this.#pretend(kept);
    else await this.#fetch(context, config, kept, sink);
    return sink.end();
  }

  /** sink takes the bytes, and hands them on in pieces where hls.js takes pieces. */
  #sink(context: FragmentLoaderContext): { push(b: Uint8Array): void; end(): ArrayBuffer } {
    const give = this.#callbacks?.onProgress;
    const pieces = give !== undefined && !context.frag.encrypted && this.#desk.hurry();
    const chunks = new Chunks(pieces ? context.frag.duration : 0);
    const hand = (b: Uint8Array) => give?.(this.stats, context, b.buffer as ArrayBuffer, this.#answer);
    return {
      push: (b) => {
        const ready = chunks.push(b);
        if (ready && !this.stats.aborted) hand(ready);
      },
      end: () => {
        const rest = chunks.end();
        if (!give) return rest.buffer as ArrayBuffer;
        hand(rest);
        return new ArrayBuffer(0);
      },
    };
  }

  /** pretend makes what took no time look as usual, so that it says nothing about the network. */
  #pretend(file: File): void {
    const now = performance.now();
    const { loading } = this.stats;
    this.stats.loaded = this.stats.total = file.size;
    loading.start = loading.first = now - (file.size * 8_000) / Math.max(1, this.#desk.bandwidth());
    loading.end = now;
  }

  async #fetch(context: FragmentLoaderContext, config: LoaderConfiguration, kept: File | undefined, sink: { push(b: Uint8Array): void }): Promise<void> {
    const { maxTimeToFirstByteMs, maxLoadTimeMs } = config.loadPolicy;
    this.#patience(Math.min(maxTimeToFirstByteMs || maxLoadTimeMs, maxLoadTimeMs));
    const answer = await fetch(this.#desk.moved(context.url), { credentials: "same-origin", headers: this.#headers(context, kept), signal: this.#abort.signal });
    this.#answer = answer;
    if (!answer.ok || !answer.body) {
      this.#desk.refused(refusalOf(answer.status, await answer.text().catch(() => "")));
      throw new Refused(answer);
    }
    const { loading } = this.stats;
    loading.first = performance.now();
    this.#patience(maxLoadTimeMs - (loading.first - loading.start));
    this.stats.total = Number(answer.headers.get("Content-Length") ?? 0);
    // Whoever answers with all of it sends what is known once more.
    let skip = kept && answer.status !== 206 ? kept.body.length : 0;
    const reader = answer.body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      this.stats.loaded += part.value.length;
      const from = Math.min(skip, part.value.length);
      skip -= from;
      sink.push(from > 0 ? part.value.subarray(from) : part.value);
    }
    clearTimeout(this.#timer);
    loading.end = performance.now();
    this.#tell(context, answer);
  }

  #headers(context: FragmentLoaderContext, kept: File | undefined): Headers {
    const headers = new Headers(context.headers ?? {});
    if (context.rangeEnd) headers.set("Range", `bytes=${context.rangeStart ?? 0}-${context.rangeEnd - 1}`);
    else if (kept) headers.set("Range", `bytes=${kept.body.length}-`);
    return headers;
  }

  #tell(context: FragmentLoaderContext, answer: Response): void {
    const { start, first, end } = this.stats.loading;
    this.#desk.saw({
      url: context.url, bytes: this.stats.loaded, first: first - start, whole: end - start,
      cache: answer.headers.get("Cache-Status") ?? "", timing: answer.headers.get("Server-Timing") ?? "",
    });
  }

  #patience(ms: number): void {
    clearTimeout(this.#timer);
    if (!Number.isFinite(ms)) return;
    this.#timer = setTimeout(() => {
      const callbacks = this.#callbacks;
      const context = this.context;
      this.abortInternal();
      if (context) callbacks?.onTimeout(this.stats, context, this.#answer);
    }, Math.max(0, ms));
  }

  #finish(context: FragmentLoaderContext, data: ArrayBuffer): void {
    const callbacks = this.#callbacks;
    if (this.stats.aborted || !callbacks) return;
    callbacks.onSuccess({ url: this.#answer?.url ?? context.url, data, code: this.#answer?.status ?? 200 }, this.stats, context, this.#answer);
  }

  #fail(context: FragmentLoaderContext, err: unknown): void {
    clearTimeout(this.#timer);
    const callbacks = this.#callbacks;
    if (this.stats.aborted || !callbacks) return;
    const code = err instanceof Refused ? err.answer.status : 0;
    callbacks.onError({ code, text: err instanceof Error ? err.message : String(err) }, context, this.#answer, this.stats);
  }

  abortInternal(): void {
    clearTimeout(this.#timer);
    this.#callbacks = undefined;
    if (this.stats.loading.end) return;
    this.stats.aborted = true;
    this.#abort.abort();
  }

  abort(): void {
    const callbacks = this.#callbacks;
    this.abortInternal();
    if (this.context && this.stats.aborted) callbacks?.onAbort?.(this.stats, this.context, this.#answer);
  }

  destroy(): void {
    this.abortInternal();
    this.context = null;
  }

  getCacheAge(): number | null {
    const age = this.getResponseHeader("Age");
    return age === null ? null : Number.parseFloat(age);
  }

  getResponseHeader(name: string): string | null {
    return this.#answer?.headers.get(name) ?? null;
  }
}

function freshStats(): LoaderStats {
  return {
    aborted: false, loaded: 0, retry: 0, total: 0, chunkCount: 0, bwEstimate: 0,
    loading: { start: 0, first: 0, end: 0 }, parsing: { start: 0, end: 0 }, buffering: { start: 0, first: 0, end: 0 },
  };
}

