import type { ManifestLoadedData } from "hls.js";

// How loud a track is made at playback (NORM-1..4): nothing is baked into the sound.

/** Loudness is what was measured of a track or of an album. */
export interface Loudness {
  /** LUFS. */
  integrated: number;
  /** dBTP; undefined where it is not known. */
  peak: number | undefined;
}

export type Level = "loud" | "normal" | "quiet" | "off";

export const levels: readonly Level[] = ["loud", "normal", "quiet", "off"];

/** What each level aims at, in LUFS (NORM-2). */
const targets: Record<Exclude<Level, "off">, number> = { loud: -11, normal: -14, quiet: -19 };
/** How high a peak may be made, in dBTP: lossy decoders overshoot. */
const ceiling = -1;

/**
 * gainOf returns by how many dB to change the sound. It is made louder only as far as
 * its peak stays under the ceiling, and quieter without limit (NORM-3).
 */
export function gainOf(level: Level, l: Loudness | undefined): number {
  if (level === "off" || !l) return 0;
  const gain = targets[level] - l.integrated;
  return gain <= 0 ? gain : Math.min(gain, Math.max(0, ceiling - (l.peak ?? 0)));
}

/** factorOf turns dB into a factor of amplitude. */
export function factorOf(db: number): number {
  return 10 ** (db / 20);
}

/** readLoudness reads the session data that a playlist of ours has: "integrated_lufs=-9.30;true_peak_dbtp=0.10". */
export function readLoudness(value: string | undefined): Loudness | undefined {
  const pairs = new Map((value ?? "").split(";").map((p) => p.split("=") as [string, string]));
  return loudnessFrom(number(pairs.get("integrated_lufs")), number(pairs.get("true_peak_dbtp")));
}

/** loudnessIn reads what a playlist that hls.js loaded says of itself. */
export function loudnessIn({ sessionData }: Pick<ManifestLoadedData, "sessionData">): Loudness | undefined {
  return readLoudness(sessionData?.["com.melodyud.loudness"]?.["VALUE"]);
}

/** loudnessFrom makes one of what may be missing: silence has none. */
export function loudnessFrom(integrated: number | null | undefined, peak: number | null | undefined): Loudness | undefined {
  return typeof integrated === "number" && Number.isFinite(integrated) ? { integrated, peak: peak ?? undefined } : undefined;
}

function number(text: string | undefined): number | undefined {
  const n = Number(text);
  return text && Number.isFinite(n) ? n : undefined;
}
