import type { FlacFormat } from "./flac";

/** Quality is one level of the playlist, in words. */
export interface Quality {
  /** hls.js level index. */
  index: number;
  family: "AAC" | "FLAC" | "Audio";
  label: string;
  /** Bits per second, average where the playlist tells it. */
  bitrate: number;
}

/** What quality needs to know of an hls.js level. */
export interface LevelLike {
  audioCodec?: string | undefined;
  codecSet?: string;
  bitrate: number;
  averageBitrate?: number;
  attrs?: Record<string, unknown>;
}

const nominal = [32, 48, 64, 96, 112, 128, 160, 192, 224, 256, 320];

export function familyOf(codec: string | undefined): Quality["family"] {
  const c = (codec ?? "").toLowerCase();
  if (c.startsWith("flac")) return "FLAC";
  if (c.startsWith("mp4a")) return "AAC";
  return "Audio";
}

/** describe names a level: "AAC 160 kbit/s", "FLAC 24 bit / 96 kHz", or "FLAC" until its bytes have told more. */
export function describe(level: LevelLike, index: number, flac?: FlacFormat): Quality {
  const family = familyOf(level.audioCodec ?? level.codecSet);
  const bitrate = level.averageBitrate || level.bitrate;
  return { index, family, bitrate, label: family === "FLAC" ? flacLabel(flac) : `${family} ${kilobits(level, bitrate)} kbit/s` };
}

export function flacLabel(f: FlacFormat | undefined): string {
  return f ? `FLAC ${f.bits} bit / ${f.rate / 1000} kHz` : "FLAC lossless";
}

/** idOf is the stable name of a level's rendition, such as aac-160; "" where the playlist has none. */
export function idOf(level: LevelLike): string {
  return String(level.attrs?.["STABLE-VARIANT-ID"] ?? "");
}

/** kilobits prefers the rendition's stable name ("aac-160"), then the nearest usual rate. */
function kilobits(level: LevelLike, bitrate: number): number {
  const named = /^aac-(\d+)$/.exec(idOf(level));
  if (named) return Number(named[1]);
  const k = bitrate / 1000;
  const near = nominal.find((n) => Math.abs(k - n) <= n * 0.08);
  return near ?? Math.round(k);
}
