import { loadersFor } from "../src/player/loader";
import { followCodecs } from "../src/player/codecs";
import type Hls from "hls.js";
import type { HlsConfig } from "hls.js";

/** ours is what our page changes of hls.js; here every segment is appended in pieces. */
function ours(HlsClass: typeof Hls): Partial<HlsConfig> {
  const desk = { memory: undefined, hurry: () => true, bandwidth: () => 1e6, saw: () => undefined, moved: (url: string) => url, refused: () => undefined };
  return { ...loadersFor(HlsClass, desk), progressive: true, bufferController: followCodecs(HlsClass.DefaultConfig.bufferController) };
}

Object.assign(globalThis, { ours });
