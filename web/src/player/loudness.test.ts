import { expect, test } from "vitest";
import { factorOf, gainOf, loudnessFrom, readLoudness } from "./loudness";

test("each level has its target, and is as loud as it says (NORM-2, NORM-3)", () => {
  const l = { integrated: -9.3, peak: 0.4 };
  expect(gainOf("loud", l)).toBeCloseTo(-1.7);
  expect(gainOf("normal", l)).toBeCloseTo(-4.7);
  expect(gainOf("quiet", l)).toBeCloseTo(-9.7);
  expect(gainOf("off", l)).toBe(0);
});

test("a quiet track rises only as far as its peak allows (NORM-3)", () => {
  expect(gainOf("normal", { integrated: -20, peak: -5 })).toBe(4); // to -16 LUFS
  expect(gainOf("normal", { integrated: -20, peak: -12 })).toBe(6);
  expect(gainOf("normal", { integrated: -20, peak: 0.5 })).toBe(0);
  expect(gainOf("normal", { integrated: -20, peak: undefined })).toBe(0);
});

test("what was not measured is left alone", () => {
  expect(gainOf("normal", undefined)).toBe(0);
  expect(loudnessFrom(null, -3)).toBeUndefined();
  expect(loudnessFrom(Number.NaN, -3)).toBeUndefined();
  for (const odd of [undefined, "", "x", "integrated_lufs=", "integrated_lufs=quiet"]) expect(readLoudness(odd)).toBeUndefined();
});

test("the playlist's values are read", () => {
  expect(readLoudness("integrated_lufs=-9.30;range_lu=5.10;true_peak_dbtp=0.40;sample_peak_dbfs=0.00")).toEqual({ integrated: -9.3, peak: 0.4 });
  expect(readLoudness("integrated_lufs=-9.30")).toEqual({ integrated: -9.3, peak: undefined });
});

test("decibels are factors of amplitude", () => {
  expect(factorOf(0)).toBe(1);
  expect(factorOf(-20)).toBeCloseTo(0.1);
});
