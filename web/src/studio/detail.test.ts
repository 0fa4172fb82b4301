import { describe, expect, test } from "vitest";
import type { Features, Track } from "../api/types";
import { changesOf, secondsOf } from "./edit";
import { keyOf, tempoOf } from "./heard";
import { sharesOf } from "./quotas";
import { factsOf } from "./report";
import { codesOf } from "./territories";

const track: Track = { id: "trk_1", state: "published", title: "Night Train", artist: "Ada", album: "", created: "", updated: "", cover: false, number: 3, preview_start_seconds: 62.5 };
const form = { title: "Night Train", artist: "Ada", album: "", disc: "", number: "3", preview: "1:02.5" };

describe("editing", () => {
  test("only what was typed anew is sent", () => {
    expect(changesOf(track, form)).toEqual({});
    expect(changesOf(track, { ...form, artist: " Grace ", number: "", preview: "" })).toEqual({ artist: "Grace", number: 0, preview_start_seconds: -1 });
    expect(changesOf(track, { ...form, disc: "2", preview: "12" })).toEqual({ disc: 2, preview_start_seconds: 12 });
  });

  test("countries are read as people write them", () => {
    expect(codesOf(" de, FR;gb  us,")).toEqual(["DE", "FR", "GB", "US"]);
    expect(codesOf(" ")).toEqual([]);
  });

  test("times are read as people write them", () => {
    expect([secondsOf("1:02.5"), secondsOf("62.5"), secondsOf("1:00:00"), secondsOf(" ")]).toEqual([62.5, 62.5, 3600, -1]);
  });
});

describe("what was heard", () => {
  const nothing = {
    sample_rate: 96_000, channels: 1, bit_depth: 0, loudness: { integrated_lufs: null, range_lu: null, true_peak_dbtp: null },
    rhythm: { tempo_bpm: null, tempo_alt_bpm: null }, tonal: { key: null, mode: null },
  } as unknown as Features;

  test("what is not known is said so", () => {
    expect([tempoOf(nothing), keyOf(nothing), factsOf(nothing)]).toEqual(["no steady pulse", "none", "96 kHz, mono"]);
  });

  test("keys have the names that musicians use", () => {
    expect(keyOf({ tonal: { key: 3, mode: 1, camelot: "5B" } } as Features)).toBe("E♭ major, 5B");
  });
});

test("quotas without a limit are not shown", () => {
  const none = { used: 5, reserved: 0 };
  expect(sharesOf({ bytes: none, hours: none, uploads_today: { used: 1, resets: "" } })).toEqual([]);
  expect(sharesOf({ bytes: none, hours: { used: 1, reserved: 1, limit: 4 }, uploads_today: { used: 1, resets: "" } })).toMatchObject([{ words: "2.0 of 4 h", share: 0.5 }]);
});
