import { kindAt, readTime, u32 } from "./boxes";

// A segment that plays before all of it is there.
//
// A browser plays what of a movie fragment is complete, and ours hold four seconds
// each: half a megabyte of FLAC. Here a fragment becomes several while its bytes
// arrive. Its samples stay as they are, only the boxes around them are made anew.

/** How many seconds the first pieces of a segment hold; all the rest is one more. */
const lengths = [0.25, 0.5, 1];

interface Run {
  /** Where the first sample begins in the segment. */
  data: number;
  sizes: number[];
  durations: number[];
  /** Decode time of the first sample. */
  time: number;
}

interface Piece {
  /** What stands before its samples: boxes of the segment, or made here. */
  head: Uint8Array;
  /** Its samples, as a range of the segment's bytes. */
  from: number;
  to: number;
}

/**
 * Chunks takes the bytes of a media segment as they arrive and gives them back in
 * pieces that can be appended. A segment of another make comes back whole.
 */
export class Chunks {
  #bytes = new Uint8Array(1 << 16);
  #filled = 0;
  #seconds: number;
  #pieces: Piece[] | undefined;
  /** Where the next piece begins in the segment's bytes; its head has been given. */
  #given = 0;

  /** seconds is how long the segment lasts, or 0 for one that is to stay whole. */
  constructor(seconds: number) {
    this.#seconds = seconds;
    if (seconds === 0) this.#pieces = [];
  }

  /** push takes bytes and returns what can be appended now, or nothing. */
  push(more: Uint8Array): Uint8Array | undefined {
    this.#keep(more);
    const pieces = (this.#pieces ??= this.#plan()) ?? [];
    const out: Uint8Array[] = [];
    // The last piece is end's.
    for (let [p, next] = pieces; p && next && p.to <= this.#filled; [p, next] = pieces) {
      pieces.shift();
      // The head of the next piece ends this one: without it a parser waits for more.
      if (this.#given === 0) out.push(p.head);
      out.push(this.#bytes.subarray(p.from, p.to), next.head);
      this.#given = p.to;
    }
    return out.length > 0 ? join(out) : undefined;
  }

  /** end returns what is left. */
  end(): Uint8Array {
    return this.#bytes.slice(this.#given, this.#filled);
  }

  #keep(more: Uint8Array): void {
    if (this.#filled + more.length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#filled + more.length));
      larger.set(this.#bytes.subarray(0, this.#filled));
      this.#bytes = larger;
    }
    this.#bytes.set(more, this.#filled);
    this.#filled += more.length;
  }

  /** plan returns the pieces of the segment, none where it stays whole, undefined while its bytes do not tell. */
  #plan(): Piece[] | undefined {
    const bytes = this.#bytes.subarray(0, this.#filled);
    const found = findFragment(bytes);
    if (found === "more") return undefined;
    return found ? cut(bytes, found, this.#seconds) : [];
  }
}

interface Fragment {
  moof: Box;
  mfhd: Box;
  tfhd: Box;
  run: Run;
}

interface Box {
  /** Of its header, and of what follows it. */
  from: number;
  to: number;
}

/** findFragment reads up to the first sample; "more" where the bytes do not reach, undefined where it cannot be cut. */
function findFragment(b: Uint8Array): Fragment | "more" | undefined {
  let moof: Box | undefined;
  for (let at = 0; ; ) {
    if (at + 8 > b.length) return "more";
    const size = u32(b, at);
    if (size < 8) return undefined;
    const kind = kindAt(b, at + 4);
    if (kind === "mdat") return moof && size > 8 ? readFragment(b, moof, at + 8, at + size) : undefined;
    if (kind === "moof" && moof) return undefined;
    if (at + size > b.length) return size > 1 << 20 ? undefined : "more";
    if (kind === "moof") moof = { from: at, to: at + size };
    at += size;
  }
}

function readFragment(b: Uint8Array, moof: Box, data: number, end: number): Fragment | undefined {
  const top = children(b, moof);
  const traf = top?.get("traf");
  const kids = traf && children(b, traf);
  const [mfhd, tfhd, tfdt, trun] = [top?.get("mfhd"), kids?.get("tfhd"), kids?.get("tfdt"), kids?.get("trun")];
  // Whatever else a maker put there may belong to the whole fragment.
  if (!top || !kids || !mfhd || !tfhd || !tfdt || !trun || top.size !== 2 || kids.size !== 3) return undefined;
  const run = readRun(b, trun, defaultDuration(b, tfhd), moof.from);
  const time = readTime(b.subarray(tfdt.from + 8, tfdt.to));
  if (!run || time === undefined || run.data !== data || run.data + sum(run.sizes) !== end) return undefined;
  return { moof, mfhd, tfhd, run: { ...run, time } };
}

/** readRun reads a trun with a size for every sample and no flags of its own. */
function readRun(b: Uint8Array, box: Box, duration: number | undefined, base: number): Omit<Run, "time"> | undefined {
  const flags = u32(b, box.from + 8) & 0xffffff;
  const count = u32(b, box.from + 12);
  const own = (flags & 0x100) !== 0;
  if ((flags & ~0x100) !== 0x201 || (!own && duration === undefined)) return undefined;
  if (box.from + 20 + count * (own ? 8 : 4) !== box.to) return undefined;
  const run = { data: base + u32(b, box.from + 16), sizes: [] as number[], durations: [] as number[] };
  for (let i = 0, at = box.from + 20; i < count; i++) {
    run.durations.push(own ? u32(b, at) : duration ?? 0);
    if (own) at += 4;
    run.sizes.push(u32(b, at));
    at += 4;
  }
  return run;
}

/** defaultDuration reads a tfhd whose data lie where its moof says; undefined where it has none. */
function defaultDuration(b: Uint8Array, box: Box): number | undefined {
  const flags = u32(b, box.from + 8) & 0xffffff;
  if ((flags & 1) !== 0 || (flags & 0x20000) === 0 || (flags & 8) === 0) return undefined;
  return u32(b, box.from + 16 + ((flags & 2) !== 0 ? 4 : 0));
}

/** cut makes the pieces of a fragment. */
function cut(b: Uint8Array, f: Fragment, seconds: number): Piece[] {
  const starts = cuts(f.run.durations, sum(f.run.durations) / seconds);
  if (starts.length < 2) return [];
  const pieces: Piece[] = [];
  let [from, time] = [f.run.data, f.run.time];
  starts.forEach((start, k) => {
    const end = starts[k + 1] ?? f.run.sizes.length;
    const [sizes, durations] = [f.run.sizes.slice(start, end), f.run.durations.slice(start, end)];
    const head = [headOf(b, f, time, sizes, durations)];
    if (k === 0) head.unshift(b.slice(0, f.moof.from));
    pieces.push({ head: join(head), from, to: from + sum(sizes) });
    from += sum(sizes);
    time += sum(durations);
  });
  return pieces;
}

/** cuts returns the first sample of every piece. */
function cuts(durations: number[], timescale: number): number[] {
  const starts = [0];
  let seconds = 0;
  durations.forEach((d, i) => {
    const wanted = lengths[starts.length - 1];
    if (wanted !== undefined && i > (starts.at(-1) ?? 0) && seconds >= wanted) {
      starts.push(i);
      seconds = 0;
    }
    seconds += d / timescale;
  });
  return starts;
}

/** headOf writes the moof of a piece, and the header of its mdat. */
function headOf(b: Uint8Array, f: Fragment, time: number, sizes: number[], durations: number[]): Uint8Array {
  const tfhd = b.subarray(f.tfhd.from, f.tfhd.to);
  const mfhd = b.subarray(f.mfhd.from, f.mfhd.to);
  const trun = 20 + sizes.length * 8;
  const traf = 8 + tfhd.length + 20 + trun;
  const moof = 8 + mfhd.length + traf;
  const out = new Uint8Array(moof + 8);
  const view = new DataView(out.buffer);
  let at = 0;
  const word = (v: number) => {
    view.setUint32(at, v);
    at += 4;
  };
  const open = (kind: string, size: number) => {
    word(size);
    for (const c of kind) out[at++] = c.charCodeAt(0);
  };
  const copy = (box: Uint8Array) => {
    out.set(box, at);
    at += box.length;
  };
  open("moof", moof);
  copy(mfhd);
  open("traf", traf);
  copy(tfhd);
  open("tfdt", 20);
  [0x01000000, Math.floor(time / 2 ** 32), time >>> 0].forEach(word);
  open("trun", trun);
  [0x301, sizes.length, moof + 8].forEach(word);
  sizes.forEach((size, i) => [durations[i] ?? 0, size].forEach(word));
  open("mdat", 8 + sum(sizes));
  return out;
}

/** children lists the boxes in a box by kind; undefined where one stands twice or they do not fit. */
function children(b: Uint8Array, box: Box): Map<string, Box> | undefined {
  const found = new Map<string, Box>();
  let at = box.from + 8;
  while (at + 8 <= box.to) {
    const size = u32(b, at);
    const kind = kindAt(b, at + 4);
    if (size < 16 || at + size > box.to || found.has(kind)) return undefined;
    found.set(kind, { from: at, to: at + size });
    at += size;
  }
  return at === box.to ? found : undefined;
}

function join(parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

const sum = (n: number[]): number => n.reduce((a, b) => a + b, 0);
