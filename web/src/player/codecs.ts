// Changes between codec families, which hls.js 1.7.4 makes only half the way.
//
// Its buffer controller changes the type of a SourceBuffer where the codec of an
// init segment differs from the current one. It reads the current one from two
// names of the track: that of its last init segment, and that of the level which
// was first appended, never renewed. "flac", as browsers want it, is to it no
// complete name, so it takes the other one: AAC after AAC and FLAC looks like AAC
// after AAC, the type stays FLAC, and the browser refuses the segment.

/** TrackLike is what the buffer controller knows of a SourceBuffer. */
interface TrackLike {
  codec?: string;
  pendingCodec?: string;
  levelCodec?: string;
}

/** BufferControllerLike is what following needs of the buffer controller of hls.js. */
export interface BufferControllerLike {
  tracks: { audio?: TrackLike };
  onBufferCodecs(event: unknown, data: unknown): void;
}

/**
 * followCodecs returns a buffer controller that compares a new codec with the last
 * one, not with the first.
 */
export function followCodecs<T>(base: T): NonNullable<T> {
  const Base = base as new (...args: unknown[]) => BufferControllerLike;
  return class extends Base {
    override onBufferCodecs(event: unknown, data: unknown): void {
      const track = this.tracks.audio;
      const last = track?.pendingCodec ?? track?.codec;
      if (track && last) track.levelCodec = last;
      super.onBufferCodecs(event, data);
    }
  } as unknown as NonNullable<T>;
}
