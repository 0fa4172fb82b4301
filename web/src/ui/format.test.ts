import { expect, test } from "vitest";
import { bytes, clock, count, nameOf, remaining, spoken } from "./format";

test("a clock shows minutes, hours, and the unknown", () => {
  expect(clock(0)).toBe("0:00");
  expect(clock(187.9)).toBe("3:07");
  expect(clock(3765)).toBe("1:02:45");
  for (const odd of [undefined, Number.NaN, Number.POSITIVE_INFINITY, -1]) expect(clock(odd)).toBe("–:––");
});

test("spoken time leaves out what is nothing", () => {
  expect(spoken(187)).toBe("3 minutes 7 seconds");
  expect(spoken(61)).toBe("1 minute 1 second");
  expect(spoken(3600)).toBe("1 hour");
  expect(spoken(600)).toBe("10 minutes");
  expect(spoken(0)).toBe("0 seconds");
});

test("sizes carry over to the next unit instead of showing 1000", () => {
  expect(bytes(0)).toBe("0 B");
  expect(bytes(999)).toBe("999 B");
  expect(bytes(999_600)).toBe("1.0 MB");
  expect(bytes(43_210_000)).toBe("43.2 MB");
  expect(bytes(432_100_000)).toBe("432 MB");
});

test("time left is coarse enough to read", () => {
  expect(remaining(2)).toBe("a few seconds left");
  expect(remaining(31)).toBe("35 s left");
  expect(remaining(61)).toBe("2 min left");
  expect(remaining(4000)).toBe("2 h left");
  expect(remaining(Number.POSITIVE_INFINITY)).toBe("");
});

test("a track without a title is called by its file", () => {
  expect(nameOf({ title: "", file_name: "night train.final.wav" })).toBe("night train.final");
  expect(nameOf({ title: "Night train", file_name: "x.wav" })).toBe("Night train");
  expect(nameOf({ title: "", file_name: "" })).toBe("Untitled");
  expect(nameOf({ title: "" })).toBe("Untitled"); // listeners are not told the file's name.
  expect(count(1, "track") + count(2, "track")).toBe("1 track2 tracks");
});
