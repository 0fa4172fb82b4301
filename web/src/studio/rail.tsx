import { steps, type Way } from "./stages";

/** Rail draws the five steps of a file as one line that fills. */
export function Rail({ way, label }: { way: Way; label: string }) {
  const total = (Math.min(way.step, steps.length) + (way.step < steps.length ? way.fraction ?? 0 : 0)) / steps.length;
  return (
    <div
      class="rail"
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(total * 100)}
      aria-valuetext={way.words}
    >
      {steps.map((name, i) => {
        const state = i < way.step ? "past" : i === way.step ? "now" : "ahead";
        const waits = state === "now" && way.fraction === undefined;
        const share = state === "past" ? 1 : state === "now" ? way.fraction ?? 0 : 0;
        return (
          <span key={name} class={`rail-step ${state}${waits ? " waits" : ""}`}>
            <span class="rail-bar"><span class="rail-fill" style={{ transform: `scaleX(${share})` }} /></span>
            <span class="rail-name">{name}</span>
          </span>
        );
      })}
    </div>
  );
}
