import type { Range } from "./engine";

interface Props {
  label: string;
  value: number;
  max: number;
  /** What one arrow key and one Page key move. */
  step: number;
  leap: number;
  text: string;
  buffered?: Range[];
  disabled?: boolean;
  class?: string;
  onInput: (v: number) => void;
}

/** Slider is a range input with its own picture, so keyboards and screen readers know it. */
export function Slider(p: Props) {
  const share = (v: number) => (p.max > 0 ? Math.min(100, Math.max(0, (v / p.max) * 100)) : 0);
  const press = (e: KeyboardEvent) => {
    const by = moves(p)[e.key];
    if (by === undefined) return;
    e.preventDefault();
    p.onInput(Math.min(p.max, Math.max(0, by)));
  };
  return (
    <span class={`slider ${p.class ?? ""}`}>
      <span class="slider-line" aria-hidden="true">
        {p.buffered?.map((r) => (
          <span key={r.from} class="slider-buffered" style={{ left: `${share(r.from)}%`, width: `${share(r.to) - share(r.from)}%` }} />
        ))}
        <span class="slider-fill" style={{ width: `${share(p.value)}%` }} />
      </span>
      <input
        type="range"
        aria-label={p.label}
        aria-valuetext={p.text}
        min={0}
        max={p.max > 0 ? p.max : 1}
        step="any"
        value={p.value}
        disabled={p.disabled}
        onInput={(e) => p.onInput(e.currentTarget.valueAsNumber)}
        onKeyDown={press}
      />
    </span>
  );
}

function moves(p: Props): Record<string, number> {
  return {
    ArrowLeft: p.value - p.step,
    ArrowDown: p.value - p.step,
    ArrowRight: p.value + p.step,
    ArrowUp: p.value + p.step,
    PageDown: p.value - p.leap,
    PageUp: p.value + p.leap,
    Home: 0,
    End: p.max,
  };
}
