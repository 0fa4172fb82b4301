import { expect, test } from "vitest";
import { boundsAt, cutAtJoins, readDecodeTime, readFormat } from "./joins";

const box = (kind: string, ...parts: number[][]): number[] => {
  const body = parts.flat();
  const n = body.length + 8;
  return [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255, ...[...kind].map((c) => c.charCodeAt(0)), ...body];
};
const u32 = (...v: number[]) => v.flatMap((n) => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]);

const init = (entry: string, rate: number) =>
  new Uint8Array([
    ...box("ftyp", u32(0)),
    ...box("moov", box("trak", box("mdia", box("mdhd", u32(0, 0, 0, rate, 0)), box("minf", box("stbl", box("stsd", u32(0, 1), box(entry, u32(0)))))))),
  ]);
const segment = (time: number) =>
  new Uint8Array([...box("styp", u32(0)), ...box("moof", box("mfhd", u32(0, 1)), box("traf", box("tfdt", u32(0x01000000, 0, time)))), ...box("mdat", [1, 2])]);

class Recorder {
  appendWindowStart = 0;
  appendWindowEnd = Infinity;
  timestampOffset = 0;
  windows: [number, number][] = [];
  appendBuffer(): void {
    this.windows.push([this.appendWindowStart, this.appendWindowEnd]);
  }
}

test("boxes are read, and what is none is left alone", () => {
  expect(readFormat(init("mp4a", 48_000))).toEqual({ aac: true, timescale: 48_000 });
  expect(readFormat(init("fLaC", 44_100))).toEqual({ aac: false, timescale: 44_100 });
  expect(readDecodeTime(segment(96_000))).toBe(96_000);
  for (const odd of [new Uint8Array(0), new Uint8Array([0, 0, 0, 0, 1, 2, 3, 4]), new Uint8Array(40).fill(255), init("mp4a", 1).subarray(0, 30)]) {
    expect(readDecodeTime(odd)).toBeUndefined();
    expect(readFormat(odd)).toBeUndefined();
  }
});

test("a segment belongs to the track in which its decode time lies", () => {
  const bounds = [0, 1.5, 3];
  expect(boundsAt(bounds, 0)).toEqual([0, 1.5]);
  expect(boundsAt(bounds, 1.4)).toEqual([0, 1.5]);
  expect(boundsAt(bounds, 1.49999)).toEqual([1.5, 3]);
  expect(boundsAt(bounds, 9)).toEqual([1.5, 3]);
});

test("AAC is cut at its track's bounds, FLAC is left whole (GAP-1, GAP-3)", () => {
  const buffer = new Recorder();
  cutAtJoins(buffer, [0, 2, 5]);
  buffer.timestampOffset = -0.02;
  const append = (b: Uint8Array) => (buffer as unknown as { appendBuffer(b: Uint8Array): void }).appendBuffer(b);
  append(init("mp4a", 1000));
  append(segment(0));
  append(segment(2000));
  expect(buffer.timestampOffset).toBe(0);
  append(init("fLaC", 1000));
  append(segment(4000));
  expect(buffer.windows).toEqual([[0, Infinity], [0, 2], [2, 5], [2, 5], [0, Infinity]]);
});
