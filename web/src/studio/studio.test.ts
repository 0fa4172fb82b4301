import { expect, test } from "vitest";
import type { Stage, Track } from "../api/types";
import { Rate } from "./rate";
import { wayOfTrack } from "./stages";
import { merge } from "./tracks";

const track = (more: Partial<Track>): Track => ({
  id: "trk_1", state: "received", title: "", artist: "", album: "", file_name: "a.wav", created: "2026-01-01T00:00:00Z", updated: "2026-01-01T00:00:00Z", cover: false, ...more,
});

test("each stage of the pipeline moves a track one step on", () => {
  const at = (stage: string, percent = 0) => wayOfTrack(track({ progress: { stage, percent, attempt: 1 } as Track["progress"] & object }));
  expect(["queued", "validating", "rendering", "storing", "publishing", "done"].map((s) => at(s).step)).toEqual([1, 1, 2, 3, 4, 5]);
  expect(at("rendering", 42)).toEqual({ step: 2, fraction: 0.42, words: "Encoding every quality 42 %" });
  expect(at("queued").fraction).toBeUndefined();
  expect(at("held")).toEqual({ step: 1, fraction: undefined, words: expect.stringContaining("operators") });
  expect(at("a-stage-of-tomorrow").words).toBe("Working");
});

test("a second attempt is told", () => {
  expect(wayOfTrack(track({ progress: { stage: "rendering", percent: 10, attempt: 2 } })).words).toBe("Encoding every quality 10 %, attempt 2");
});

test("a track without progress waits its turn; a published one is through", () => {
  expect(wayOfTrack(track({})).words).toBe("Waiting its turn");
  expect(wayOfTrack(track({ state: "published" })).step).toBe(5);
});

test("the rate follows a change of speed and forgets a pause", () => {
  const r = new Rate();
  r.start(0, 0);
  expect(r.note(100, 100)).toBe(0); // too early to tell.
  expect(r.note(1000, 1000)).toBe(1000);
  let rate = 0;
  for (let s = 2; s < 20; s++) rate = r.note(1000 + (s - 1) * 100, s * 1000);
  expect(rate).toBeGreaterThan(99);
  expect(rate).toBeLessThan(120);
  r.start(5000, 60_000);
  expect(r.note(5500, 61_000)).toBe(500);
});

test("news replace what is known, and stale news do not", () => {
  const at = (updated: string, title: string) => track({ updated, title });
  const known = merge(new Map(), [at("2026-01-01T10:00:00Z", "first")]);
  expect(merge(known, [at("2026-01-01T10:00:00.5Z", "newer")]).get("trk_1")?.title).toBe("newer");
  expect(merge(known, [at("2026-01-01T09:59:59.999Z", "stale")]).get("trk_1")?.title).toBe("first");
  expect(merge(known, [at("2026-01-01T10:00:00Z", "same moment")]).get("trk_1")?.title).toBe("same moment");
  expect(known.get("trk_1")?.title).toBe("first");
});

test("of what happened in the same millisecond, the later step counts", () => {
  const at = (state: Track["state"], stage: Stage) => track({ updated: "2026-01-01T10:00:00Z", state, progress: { stage, percent: 0, attempt: 1 } });
  const known = merge(new Map(), [at("published", "done")]);
  expect(merge(known, [at("received", "storing")]).get("trk_1")?.state).toBe("published");
  const rendering = merge(new Map(), [at("received", "rendering")]);
  expect(merge(rendering, [at("received", "storing")]).get("trk_1")?.progress?.stage).toBe("storing");
  expect(merge(rendering, [at("received", "queued")]).get("trk_1")?.progress?.stage).toBe("rendering");
  expect(merge(rendering, [at("refused", "done")]).get("trk_1")?.state).toBe("refused");
});
