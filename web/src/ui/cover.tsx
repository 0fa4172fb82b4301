import { useState } from "preact/hooks";
import { coverSizes, coverURL } from "../api/client";
import type { Track } from "../api/types";

/** How wide each kind of cover is shown at most, in CSS pixels. */
const widths = { small: "44px", medium: "52px", large: "232px" };

/** Cover shows a track's picture, or one drawn from its id while there is none. */
export function Cover({ track, size }: { track: Track; size: "small" | "medium" | "large" }) {
  const url = coverURL(track);
  const [broken, setBroken] = useState("");
  return (
    <span class={`cover cover-${size}`}>
      {url && broken !== url
        ? <img src={url} srcset={coverSizes.map((s) => `${coverURL(track, s)} ${s}w`).join(", ")} sizes={widths[size]} alt="" loading="lazy" decoding="async" onError={() => setBroken(url)} />
        : <Drawn seed={track.id} />}
    </span>
  );
}

/** Drawn is a quiet picture that is always the same for the same seed. */
export function Drawn({ seed }: { seed: string }) {
  const n = hash(seed);
  const hue = n % 360;
  const x = 20 + ((n >>> 9) % 60);
  const y = 20 + ((n >>> 16) % 60);
  return (
    <svg viewBox="0 0 100 100" aria-hidden="true" focusable="false">
      <rect width="100" height="100" fill={`hsl(${hue} 16% 32%)`} />
      {[78, 60, 43, 27, 12].map((r, i) => (
        <circle key={r} cx={x} cy={y} r={r} fill={`hsl(${hue + i * 9} ${17 + i * 3}% ${39 + i * 8}%)`} />
      ))}
    </svg>
  );
}

/** hash is FNV-1a, 32 bits. */
export function hash(s: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < s.length; i++) h = Math.imul(h ^ s.charCodeAt(i), 0x01000193);
  return h >>> 0;
}
