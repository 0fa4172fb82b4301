import { expect, test } from "vitest";
import { Memory } from "./memory";

const here = "https://music.example/player";

test("what came with a playback is found at its addresses, whole or in part", () => {
  const m = Memory.of("/p/t/trk/rel/hifi.m3u8", [
    { path: "hifi.m3u8", text: "#EXTM3U ♯", size: 11 },
    { path: "flac/s/0.m4s", data: btoa("beginning"), size: 500 },
  ], here);
  expect(new TextDecoder().decode(m.get("/p/t/trk/rel/hifi.m3u8")?.body)).toBe("#EXTM3U ♯");
  const file = m.get("https://music.example/p/t/trk/rel/flac/s/0.m4s");
  expect([new TextDecoder().decode(file?.body), file?.size]).toEqual(["beginning", 500]);
  expect(m.get("https://music.example/p/t/trk/rel/flac/s/1.m4s")).toBeUndefined();
  expect(m.get("https://elsewhere.example/p/t/trk/rel/flac/s/0.m4s")).toBeUndefined();
});

test("an edge on another host has its own addresses", () => {
  const m = Memory.of("https://edge.example/p/t/trk/rel/index.m3u8", [{ path: "aac-96/init.mp4", data: "AAEC", size: 3 }], here);
  expect([...(m.get("https://edge.example/p/t/trk/rel/aac-96/init.mp4")?.body ?? [])]).toEqual([0, 1, 2]);
  expect(m.get("/p/t/trk/rel/aac-96/init.mp4")).toBeUndefined();
});
