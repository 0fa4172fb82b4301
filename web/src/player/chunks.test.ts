import { expect, test } from "vitest";
import { Chunks } from "./chunks";

const u32 = (...v: number[]) => v.flatMap((n) => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]);
const box = (kind: string, ...parts: number[][]): number[] => {
  const body = parts.flat();
  return [...u32(body.length + 8), ...[...kind].map((c) => c.charCodeAt(0)), ...body];
};

/** segment is one of ours: so many samples of 1024 at 1024 Hz, the last one shorter, each of another size. */
function segment(samples: number, { own = false, more = [] as number[] } = {}): { bytes: Uint8Array; sizes: number[]; data: number[] } {
  const sizes = Array.from({ length: samples }, (_, i) => 5 + (i % 7));
  const data = sizes.flatMap((n, i) => Array<number>(n).fill(i & 255));
  const durations = sizes.map((_, i) => (i === samples - 1 ? 100 : 128));
  const run = sizes.flatMap((n, i) => (own ? u32(durations[i] ?? 0, n) : u32(n)));
  const moof = (offset: number) =>
    box("moof", box("mfhd", u32(0, 9)), box("traf",
      box("tfhd", u32(0x00020028, 1, 128, 0x02000000)), box("tfdt", u32(0x01000000, 1, 4096)),
      box("trun", u32(own ? 0x301 : 0x201, samples, offset), run), more));
  const bytes = new Uint8Array([...box("styp", u32(1, 2)), ...moof(moof(0).length + 8), ...box("mdat", data)]);
  return { bytes, sizes, data };
}

interface Read {
  time: number;
  durations: number[];
  sizes: number[];
  data: number[];
}

/** read reads what a browser would of segments of one run each. */
function read(b: Uint8Array): Read[] {
  const at = (i: number) => new DataView(b.buffer, b.byteOffset).getUint32(i);
  const kind = (i: number) => String.fromCharCode(...b.subarray(i + 4, i + 8));
  const out: Read[] = [];
  for (let i = 0; i < b.length; i += at(i)) {
    if (kind(i) === "moof") {
      const traf = i + 8 + at(i + 8);
      const tfdt = traf + 8 + at(traf + 8);
      const trun = tfdt + at(tfdt);
      const count = at(trun + 12);
      const own = (at(trun + 8) & 0x100) !== 0;
      const one: Read = { time: at(tfdt + 12) * 2 ** 32 + at(tfdt + 16), durations: [], sizes: [], data: [] };
      for (let k = 0, p = trun + 20; k < count; k++, p += own ? 8 : 4) {
        one.durations.push(own ? at(p) : 128);
        one.sizes.push(at(own ? p + 4 : p));
      }
      const from = i + at(trun + 16);
      one.data = [...b.subarray(from, from + one.sizes.reduce((x, y) => x + y, 0))];
      expect(kind(from - 8)).toBe("mdat");
      expect(at(from - 8) - 8).toBe(one.data.length);
      out.push(one);
    }
  }
  return out;
}

/** cut pushes a segment in steps and returns what came out, and after how many bytes the first of it did. */
function cut(bytes: Uint8Array, step: number, seconds: number): { out: Uint8Array; first: number; pieces: number } {
  const c = new Chunks(seconds);
  const out: number[] = [];
  let [first, pieces] = [0, 0];
  for (let i = 0; i < bytes.length; i += step) {
    const ready = c.push(bytes.subarray(i, i + step));
    if (!ready) continue;
    if (pieces++ === 0) first = i + step;
    out.push(...ready);
  }
  out.push(...c.end());
  return { out: new Uint8Array(out), first, pieces };
}

test.each([1, 7, 64, 10_000])("samples come out as they went in, in pieces, when %i bytes arrive at a time", (step) => {
  for (const own of [false, true]) {
    const { bytes, sizes, data } = segment(32, { own });
    const { out } = cut(bytes, step, 4);
    const pieces = read(out);
    expect(pieces.map((p) => p.sizes.length)).toEqual([2, 4, 8, 18]); // a quarter, a half, a whole second, the rest
    expect(pieces.flatMap((p) => p.sizes)).toEqual(sizes);
    expect(pieces.flatMap((p) => p.data)).toEqual(data);
    let time = 2 ** 32 + 4096;
    for (const p of pieces) {
      expect(p.time).toBe(time);
      time += p.durations.reduce((x, y) => x + y, 0);
    }
    expect(pieces.at(-1)?.durations.at(-1)).toBe(own ? 100 : 128);
  }
});

test("the first piece is there long before the last byte", () => {
  const { bytes } = segment(64, { own: true });
  const { first, pieces } = cut(bytes, 1, 8);
  expect(pieces).toBe(3);
  expect(first).toBeLessThan(bytes.length - 400);
});

test("a piece ends with the head of the next one: a parser that waits for it has it", () => {
  const { bytes } = segment(32);
  const c = new Chunks(4);
  const ready = c.push(bytes.subarray(0, bytes.length - 120));
  expect(String.fromCharCode(...(ready ?? []).slice(-4))).toBe("mdat");
});

test("what is no such segment comes back as it was", () => {
  const whole = segment(32).bytes;
  const twice = new Uint8Array([...whole, ...whole]);
  for (const odd of [
    new Uint8Array(0), new Uint8Array([1, 2, 3]), new Uint8Array(100).fill(255), whole.subarray(0, 40), segment(1).bytes, twice,
    segment(32, { more: box("sbgp", u32(0, 1, 2, 3)) }).bytes,
  ]) {
    expect([...cut(odd, 9, odd === twice ? 0 : 4).out]).toEqual([...odd]);
  }
});
