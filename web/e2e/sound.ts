import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const quiet = ["-hide_banner", "-loglevel", "error", "-y"];

/** pcm writes a WAV of 16 bits, both channels the same; sample gives each one as an integer. */
export function pcm(frames: number, rate: number, sample: (i: number) => number): Buffer {
  const out = header(frames, rate);
  for (let i = 0; i < frames; i++) {
    const v = sample(i);
    out.writeInt16LE(v, 44 + i * 4);
    out.writeInt16LE(v, 46 + i * 4);
  }
  return out;
}

/** header returns a WAV of 16-bit stereo silence. */
function header(frames: number, rate: number): Buffer {
  const out = Buffer.alloc(44 + frames * 4);
  out.write("RIFF", 0);
  out.writeUInt32LE(36 + frames * 4, 4);
  out.write("WAVEfmt ", 8);
  out.writeUInt32LE(16, 16);
  out.writeUInt16LE(1, 20);
  out.writeUInt16LE(2, 22);
  out.writeUInt32LE(rate, 24);
  out.writeUInt32LE(rate * 4, 28);
  out.writeUInt16LE(4, 32);
  out.writeUInt16LE(16, 34);
  out.write("data", 36);
  out.writeUInt32LE(frames * 4, 40);
  return out;
}

/** wav writes seconds of 16-bit stereo: chords that swell and fade, different for each seed. */
export function wav(seconds: number, seed = 1, rate = 44_100): Buffer {
  const frames = Math.round(seconds * rate);
  const out = header(frames, rate);
  const root = 110 * 2 ** (((seed * 5) % 12) / 12);
  const chords = [[1, 1.5, 2.5], [0.84, 1.26, 2], [0.75, 1.125, 1.875], [1.125, 1.6875, 2.25]];
  for (let i = 0; i < frames; i++) {
    const t = i / rate;
    const bar = t / (1.6 + (seed % 3) * 0.4);
    const chord = chords[(Math.floor(bar) + seed) % 4] ?? [1];
    const beat = Math.exp(-3 * ((bar * 4) % 1)) * 0.5 + 0.5;
    const arc = (0.35 + 0.65 * Math.sin((Math.PI * t) / seconds) ** 2) * (0.7 + 0.3 * Math.sin(t * 0.9 + seed));
    const l = chord.reduce((sum, r) => sum + Math.sin(2 * Math.PI * root * r * t), 0) / chord.length;
    const r = chord.reduce((sum, q) => sum + Math.sin(2 * Math.PI * root * q * 1.002 * t), 0) / chord.length;
    out.writeInt16LE(Math.round(l * beat * arc * 20_000), 44 + i * 4);
    out.writeInt16LE(Math.round(r * beat * arc * 20_000), 46 + i * 4);
  }
  return out;
}

interface Rendition {
  name: string;
  codecs: string;
  bandwidth: number;
  args: string[];
}

const renditions: Rendition[] = [
  { name: "aac-96", codecs: "mp4a.40.2", bandwidth: 104_000, args: ["-c:a", "aac", "-b:a", "96k"] },
  { name: "aac-160", codecs: "mp4a.40.2", bandwidth: 171_000, args: ["-c:a", "aac", "-b:a", "160k"] },
  { name: "flac", codecs: "fLaC", bandwidth: 1_400_000, args: ["-c:a", "flac", "-sample_fmt", "s16", "-strict", "-2"] },
];

/** hls makes a CMAF set with ffmpeg: index.m3u8 (AAC) and hifi.m3u8 (AAC and FLAC). */
export async function hls(dir: string, source: Buffer): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, "source.wav"), source);
  for (const r of renditions) {
    await mkdir(join(dir, r.name), { recursive: true });
    await run("ffmpeg", [
      ...quiet, "-i", join(dir, "source.wav"), ...r.args, "-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod",
      "-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4", "-hls_segment_filename", join(dir, r.name, "%d.m4s"), join(dir, r.name, "index.m3u8"),
    ]);
  }
  const line = (r: Rendition, score: number) =>
    `#EXT-X-STREAM-INF:BANDWIDTH=${r.bandwidth},CODECS="${r.codecs}",STABLE-VARIANT-ID="${r.name}",SCORE=${score}\n${r.name}/index.m3u8\n`;
  const head = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n";
  const aac = renditions.filter((r) => r.name !== "flac");
  await writeFile(join(dir, "index.m3u8"), head + aac.map((r, i) => line(r, i + 1)).join(""));
  await writeFile(join(dir, "hifi.m3u8"), head + renditions.map((r, i) => line(r, i + 1)).join(""));
}

/** flac codes a WAV as FLAC with tags and a cover, as a creator's own tools would. */
export async function flac(file: string, source: Buffer, tags: Record<string, string>, cover?: string): Promise<void> {
  const input = `${file}.wav`;
  await writeFile(input, source);
  const meta = Object.entries(tags).flatMap(([k, v]) => ["-metadata", `${k}=${v}`]);
  const picture = cover ? ["-i", cover, "-map", "0:a", "-map", "1:v", "-c:v", "copy", "-disposition:v", "attached_pic"] : [];
  await run("ffmpeg", [...quiet, "-i", input, ...picture, "-c:a", "flac", ...meta, file]);
}

/** hasFFmpeg tells whether media can be made on this machine. */
export async function hasFFmpeg(): Promise<boolean> {
  return run("ffmpeg", ["-version"]).then(() => true, () => false);
}
