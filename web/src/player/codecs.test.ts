import { expect, test } from "vitest";
import { followCodecs, type BufferControllerLike } from "./codecs";

/** Controller compares as that of hls.js 1.7.4 does. */
class Controller implements BufferControllerLike {
  tracks: BufferControllerLike["tracks"] = {};
  changes: string[] = [];
  onBufferCodecs(_event: unknown, data: unknown): void {
    const { codec } = data as { codec: string };
    const track = (this.tracks.audio ??= { codec, levelCodec: codec });
    const last = track.pendingCodec ?? track.codec ?? "";
    const current = last.length > 4 ? last : track.levelCodec;
    if (current === codec) return;
    this.changes.push(codec);
    track.pendingCodec = codec;
  }
}

const play = (c: BufferControllerLike & { changes: string[] }, codecs: string[]) => {
  for (const codec of codecs) c.onBufferCodecs("hlsBufferCodec", { codec });
  return c.changes;
};
const turns = ["mp4a.40.2", "flac", "mp4a.40.2", "mp4a.40.2", "flac", "flac", "mp4a.40.2"];

test("a SourceBuffer changes its type at every change of codec, and only there", () => {
  expect(play(new (followCodecs(Controller))(), turns)).toEqual(["flac", "mp4a.40.2", "flac", "mp4a.40.2"]);
});
