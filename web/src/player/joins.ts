import { kindAt, readTime, u32 } from "./boxes";

// Joins between the tracks of an album, exact to the sample.
//
// An AAC decoder gives sound before a track's first sample (its priming) and
// after its last (the rest of its last access unit). In the exact form of an
// album both are in the media, beyond the track's bounds on the timeline; the
// append window makes the browser cut them off.

/** SourceBufferLike is what cutting needs of a SourceBuffer. */
export interface SourceBufferLike {
  appendWindowStart: number;
  appendWindowEnd: number;
  timestampOffset: number;
  appendBuffer(data: BufferSource): void;
}

interface Format {
  aac: boolean;
  /** Ticks a second of decode times. */
  timescale: number;
}

/**
 * cutAtJoins has every segment of AAC that is appended cut at the bounds of its
 * track. bounds are the seconds at which tracks begin, and the end of the last.
 */
export function cutAtJoins(buffer: SourceBufferLike, bounds: readonly number[]): void {
  const append = buffer.appendBuffer.bind(buffer);
  let format: Format | undefined;
  buffer.appendBuffer = (data) => {
    const bytes = ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
    format = readFormat(bytes) ?? format;
    const decode = readDecodeTime(bytes);
    if (format && decode !== undefined) {
      const [from, to] = format.aac ? boundsAt(bounds, decode / format.timescale) : [0, Infinity];
      // The start may never reach the end, not even in passing.
      buffer.appendWindowStart = 0;
      buffer.appendWindowEnd = to;
      buffer.appendWindowStart = from;
      buffer.timestampOffset = 0; // decode times of an album are those of its timeline.
    }
    append(data);
  };
}

/** boundsAt returns the bounds of the track in which a segment of that decode time lies. */
export function boundsAt(bounds: readonly number[], seconds: number): [number, number] {
  let k = 0;
  // A track's first segment has its start as decode time, but for rounding.
  while (k + 2 < bounds.length && (bounds[k + 1] ?? Infinity) <= seconds + 1e-4) k++;
  return [bounds[k] ?? 0, bounds[k + 1] ?? Infinity];
}

/** readFormat reads an init segment; undefined for anything else. */
export function readFormat(b: Uint8Array): Format | undefined {
  const mdia = within(b, "moov", "trak", "mdia");
  const mdhd = mdia && within(mdia, "mdhd");
  const stsd = mdia && within(mdia, "minf", "stbl", "stsd");
  if (!mdhd || !stsd || mdhd.length < 16 || stsd.length < 16) return undefined;
  return { aac: kindAt(stsd, 12) === "mp4a", timescale: u32(mdhd, mdhd[0] === 1 ? 20 : 12) };
}

/** readDecodeTime reads the tfdt of a media segment; undefined for anything else. */
export function readDecodeTime(b: Uint8Array): number | undefined {
  const tfdt = within(b, "moof", "traf", "tfdt");
  return tfdt && readTime(tfdt);
}

/** within returns the body of the box at the path. */
function within(b: Uint8Array, ...path: string[]): Uint8Array | undefined {
  const [kind, ...rest] = path;
  if (kind === undefined) return b;
  for (let at = 0; at + 8 <= b.length; ) {
    const size = u32(b, at);
    if (size < 8) return undefined;
    if (kindAt(b, at + 4) === kind) return within(b.subarray(at + 8, at + size), ...rest);
    at += size;
  }
  return undefined;
}
