import type { Features, Remark } from "../api/types";
import { clock, count } from "../ui/format";
import { Alert, Good } from "../ui/icons";

/** Report tells what a careful engineer would remark on the file. Nothing of it refuses a track. */
export function Report({ features }: { features: Features }) {
  const remarks = features.quality.remarks ?? [];
  return (
    <section class="card report" aria-labelledby="h-report">
      <h2 id="h-report">Quality report</h2>
      <p class="soft numbers">{factsOf(features)}</p>
      {remarks.length === 0
        ? <p class="report-good"><Good /> Nothing to remark. A clean master.</p>
        : <ul class="remarks">{remarks.map((r) => <One key={r.code} remark={r} />)}</ul>}
    </section>
  );
}

const mostPlaces = 6;

function One({ remark }: { remark: Remark }) {
  const places = remark.at ?? [];
  return (
    <li>
      <Alert />
      <span>
        {remark.text} <code>{remark.code}</code>
        {places.length > 0 && (
          <span class="soft numbers remark-places">
            {" "}At {places.slice(0, mostPlaces).map((p) => clock(p.start)).join(", ")}
            {places.length > mostPlaces && ` and ${count(places.length - mostPlaces, "more place")}`}.
          </span>
        )}
      </span>
    </li>
  );
}

/** factsOf writes what the file is and how loud: "44.1 kHz, 16 bit, stereo · -9.3 LUFS …". */
export function factsOf(f: Features): string {
  const channels = f.channels === 1 ? "mono" : f.channels === 2 ? "stereo" : `${f.channels} channels`;
  const kind = [`${f.sample_rate / 1000} kHz`, f.bit_depth > 0 ? `${f.bit_depth} bit` : "", channels].filter(Boolean).join(", ");
  const l = f.loudness;
  const loud = [
    l.integrated_lufs !== null ? `${l.integrated_lufs.toFixed(1)} LUFS` : "",
    l.range_lu !== null ? `range ${l.range_lu.toFixed(1)} LU` : "",
    l.true_peak_dbtp !== null ? `peak ${l.true_peak_dbtp.toFixed(1)} dBTP` : "",
  ].filter(Boolean).join(", ");
  return loud ? `${kind} · ${loud}` : kind;
}
