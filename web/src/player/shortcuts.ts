import { useEffect } from "preact/hooks";
import { next, previous, skip, toggle } from "./queue";
import { toggleMute } from "./volume";

const runs: Record<string, () => void> = {
  " ": toggle,
  k: toggle,
  ArrowLeft: () => skip(-5),
  ArrowRight: () => skip(5),
  m: toggleMute,
  n: next,
  p: previous,
};

/** Elements that need a key themselves. Space presses buttons; letters and arrows do not. */
function needs(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.closest("dialog[open], [role=listbox], [role=menu]")) return true;
  const tag = target.tagName;
  if (tag === "TEXTAREA" || tag === "SELECT") return true;
  if (tag === "INPUT") return (target as HTMLInputElement).type !== "range" || key.startsWith("Arrow");
  return key === " " && (tag === "BUTTON" || tag === "A" || tag === "SUMMARY");
}

/** keyRun gives what a key does, or undefined when it belongs to the focused element or the browser. */
export function keyRun(e: KeyboardEvent): (() => void) | undefined {
  if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return undefined;
  const key = e.key.length === 1 ? e.key.toLowerCase() : e.key;
  return needs(e.target, key) ? undefined : runs[key];
}

export function useShortcuts(): void {
  useEffect(() => {
    const press = (e: KeyboardEvent) => {
      const run = keyRun(e);
      if (!run) return;
      e.preventDefault();
      run();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
