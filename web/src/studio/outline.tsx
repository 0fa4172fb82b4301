import { useEffect, useState } from "preact/hooks";
import { api } from "../api/client";
import type { Features, Track } from "../api/types";
import { peaksOf } from "../player/waveform";
import { clock } from "../ui/format";

const bars = 360;

/** Outline draws a track's waveform, its sections, and where there is something to remark. */
export function Outline({ track, features }: { track: Track; features?: Features | undefined }) {
  const [peaks, setPeaks] = useState<number[] | undefined>();
  const release = track.release?.id;
  useEffect(() => {
    let wanted = true;
    setPeaks(undefined);
    api.waveform(track.id).then((data) => wanted && setPeaks(peaksOf(data, bars)), () => undefined);
    return () => {
      wanted = false;
    };
  }, [track.id, release]);
  const length = features?.duration_s ?? track.release?.duration_seconds ?? 0;
  const share = (seconds: number) => `${length > 0 ? Math.min(100, (seconds / length) * 100) : 0}%`;
  const sections = features?.structure.sections ?? [];
  const spots = (features?.quality.remarks ?? []).flatMap((r) => (r.at ?? []).map((at) => ({ ...at, text: r.text })));
  return (
    <figure class="outline card" aria-label="Waveform">
      <div class="outline-picture" aria-hidden="true">
        {peaks && (
          <svg viewBox={`0 0 ${bars} 100`} preserveAspectRatio="none" focusable="false">
            {peaks.map((p, i) => <rect key={i} x={i + 0.15} y={50 - Math.max(0.7, p * 48)} width="0.7" height={Math.max(1.4, p * 96)} />)}
          </svg>
        )}
        {sections.slice(1).map((s) => <span key={s.start} class="outline-section" style={{ left: share(s.start) }} />)}
        {spots.map((s, i) => (
          <span key={i} class="outline-spot" title={`${clock(s.start)} ${s.text}`} style={{ left: share(s.start), width: `max(3px, ${share(s.end - s.start)})` }} />
        ))}
      </div>
      <figcaption class="outline-times soft numbers">
        {sections.length > 1
          ? sections.map((s) => <span key={s.start} style={{ left: share(s.start) }}>{clock(s.start)}</span>)
          : [0, 0.25, 0.5, 0.75].map((f) => <span key={f} style={{ left: `${f * 100}%` }}>{clock(f * length)}</span>)}
      </figcaption>
    </figure>
  );
}
