import { expect, test } from "vitest";
import { peaksOf } from "./waveform";

function dat(version: 1 | 2, wide: boolean, pairs: [number, number][], channels = 1): ArrayBuffer {
  const head = version === 2 ? 24 : 20;
  const view = new DataView(new ArrayBuffer(head + pairs.length * 2 * (wide ? 2 : 1)));
  view.setInt32(0, version, true);
  view.setUint32(4, wide ? 0 : 1, true);
  view.setUint32(16, pairs.length / channels, true);
  if (version === 2) view.setInt32(20, channels, true);
  pairs.flat().forEach((v, i) => (wide ? view.setInt16(head + i * 2, v, true) : view.setInt8(head + i, v)));
  return view.buffer;
}

test("peaks follow the louder side of each pair and fill the height", () => {
  expect(peaksOf(dat(1, false, [[-64, 10], [0, 32], [-16, 16], [0, 0]]), 4)).toEqual([1, 0.5, 0.25, 0]);
  expect(peaksOf(dat(2, true, [[-16384, 0], [0, 8192]]), 2)).toEqual([1, 0.5]);
  expect(peaksOf(dat(2, false, [[0, 64], [0, 0], [0, 0], [-32, 0]], 2), 2)).toEqual([1, 0.5]);
});

test("a short waveform is stretched over all bars", () => {
  expect(peaksOf(dat(1, false, [[0, 64]]), 3)).toEqual([1, 1, 1]);
});

test("silence stays silent", () => {
  expect(peaksOf(dat(1, false, [[0, 1], [-1, 0]]), 2)?.every((p) => p < 0.01)).toBe(true);
});

test("other bytes and cut files give nothing", () => {
  const whole = dat(2, true, [[-5, 5], [-9, 9]]);
  for (let n = 0; n < whole.byteLength; n++) expect(peaksOf(whole.slice(0, n), 10)).toBeUndefined();
  expect(peaksOf(new ArrayBuffer(100), 10)).toBeUndefined();
});
