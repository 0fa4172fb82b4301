import { expect, test } from "vitest";
import { findFlac } from "./flac";
import { describe, flacLabel } from "./quality";

/** dfLa makes the box around a STREAMINFO of the given format. */
function dfLa(rate: number, channels: number, bits: number): number[] {
  const info = [16, 0, 16, 0, 0, 0, 0, 0, 0, 0, (rate >> 12) & 255, (rate >> 4) & 255, ((rate & 15) << 4) | ((channels - 1) << 1) | ((bits - 1) >> 4), ((bits - 1) & 15) << 4, 0, 0, 0, 0];
  return [0x64, 0x66, 0x4c, 0x61, 0, 0, 0, 0, 0x80, 0, 0, 34, ...info, ...new Array<number>(16).fill(0)];
}

test.each([
  [44_100, 2, 16],
  [96_000, 2, 24],
  [192_000, 8, 32],
  [8_000, 1, 8],
])("the init segment tells %i Hz, %i channels, %i bits", (rate, channels, bits) => {
  const init = new Uint8Array([...new Array<number>(31).fill(7), ...dfLa(rate, channels, bits)]);
  expect(findFlac(init)).toEqual({ rate, channels, bits });
});

test("cut or foreign init segments tell nothing and do not throw", () => {
  const whole = dfLa(44_100, 2, 16);
  for (let n = 0; n < 30; n++) expect(findFlac(new Uint8Array(whole.slice(0, n)))).toBeUndefined();
  expect(findFlac(new Uint8Array(500).fill(0x64))).toBeUndefined();
});

test("a level is called by its nominal rate, not by its overhead", () => {
  expect(describe({ audioCodec: "mp4a.40.2", bitrate: 171_000, attrs: { "STABLE-VARIANT-ID": "aac-160" } }, 0).label).toBe("AAC 160 kbit/s");
  expect(describe({ audioCodec: "mp4a.40.2", bitrate: 140_000, averageBitrate: 131_400 }, 1).label).toBe("AAC 128 kbit/s");
  expect(describe({ audioCodec: "mp4a.40.2", bitrate: 77_400 }, 2).label).toBe("AAC 77 kbit/s");
});

test("a lossless level tells bits and rate once its bytes are known", () => {
  const level = { audioCodec: "fLaC", bitrate: 2_900_000 };
  expect(describe(level, 3).label).toBe("FLAC lossless");
  expect(describe(level, 3, { bits: 24, rate: 96_000, channels: 2 })).toEqual({ index: 3, family: "FLAC", bitrate: 2_900_000, label: "FLAC 24 bit / 96 kHz" });
  expect(flacLabel({ bits: 16, rate: 44_100, channels: 2 })).toBe("FLAC 16 bit / 44.1 kHz");
});
