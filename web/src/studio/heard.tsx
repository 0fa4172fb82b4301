import type { Features, ScoreName } from "../api/types";

const keys = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];

const scores: [ScoreName, string][] = [
  ["energy", "Energy"], ["danceability", "Danceable"], ["valence", "Cheerful"], ["acousticness", "Acoustic"],
  ["instrumentalness", "Instrumental"], ["speechiness", "Speech"], ["liveness", "Live"],
];

/** Heard shows what the track sounds like, as search and recommendations see it. */
export function Heard({ features }: { features: Features }) {
  const shown = scores.flatMap(([name, label]) => {
    const value = features.perceptual[name]?.value;
    return value === null || value === undefined ? [] : [{ name, label, value }];
  });
  return (
    <section class="card heard" aria-labelledby="h-heard">
      <h2 id="h-heard">What it sounds like</h2>
      <dl class="heard-facts">
        <div><dt>Tempo</dt><dd class="numbers">{tempoOf(features)}</dd></div>
        <div><dt>Key</dt><dd>{keyOf(features)}</dd></div>
        <div><dt>Time</dt><dd class="numbers">{features.rhythm.time_signature ? `${features.rhythm.time_signature}/4` : "–"}</dd></div>
      </dl>
      {shown.length > 0 && (
        <ul class="scores">
          {shown.map((s) => (
            <li key={s.name}>
              <span>{s.label}</span>
              <span class="score-bar" role="meter" aria-label={s.label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(s.value * 100)}>
                <span style={{ transform: `scaleX(${s.value})` }} />
              </span>
            </li>
          ))}
        </ul>
      )}
      <p class="soft heard-note">Scores are estimates by formula, not compared with what people say.</p>
    </section>
  );
}

/** tempoOf writes the tempo, and the other one that somebody might tap. */
export function tempoOf(f: Features): string {
  const { tempo_bpm: tempo, tempo_alt_bpm: other } = f.rhythm;
  if (tempo === null) return "no steady pulse";
  return `${tempo.toFixed(1)} BPM${other !== null ? ` (or ${other.toFixed(1)})` : ""}`;
}

/** keyOf writes "A minor, 8A". */
export function keyOf(f: Features): string {
  const { key, mode, camelot } = f.tonal;
  if (key === null || mode === null) return "none";
  return `${keys[key] ?? ""} ${mode === 1 ? "major" : "minor"}${camelot ? `, ${camelot}` : ""}`;
}
