import { useEffect, useRef, useState } from "preact/hooks";
import { Check, Chevron } from "../ui/icons";
import * as q from "./queue";

interface Choice {
  index: number;
  label: string;
  note: string;
}

/** QualityMenu shows what is heard now and lets the listener choose. */
export function QualityMenu() {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const heard = q.engine.heard.value;
  const choices: Choice[] = [
    { index: -1, label: "Auto", note: "Best for your connection" },
    ...[...q.engine.qualities.value].sort((a, b) => b.bitrate - a.bitrate).map((l) => ({ index: l.index, label: l.label, note: "" })),
  ];
  const close = (back: boolean) => {
    setOpen(false);
    if (back) button.current?.focus();
  };
  return (
    <div class="quality">
      <button
        ref={button}
        type="button"
        class="quality-button numbers"
        aria-haspopup="listbox"
        aria-expanded={open}
        aria-label={`Quality: ${heard?.label ?? "automatic"}`}
        data-quality={heard?.label ?? ""}
        disabled={choices.length < 2}
        onClick={() => setOpen(!open)}
      >
        <span>{heard?.label ?? "Quality"}</span><Chevron />
      </button>
      {open && <Choices choices={choices} onClose={close} />}
    </div>
  );
}

function Choices({ choices, onClose }: { choices: Choice[]; onClose: (back: boolean) => void }) {
  const box = useRef<HTMLUListElement>(null);
  const asked = q.engine.asked.value;
  const [at, setAt] = useState(Math.max(0, choices.findIndex((c) => c.index === asked)));
  useEffect(() => {
    box.current?.focus();
    const away = (e: PointerEvent) => {
      if (!(e.target as Element).closest(".quality")) onClose(false);
    };
    addEventListener("pointerdown", away);
    return () => removeEventListener("pointerdown", away);
  }, []);
  const choose = (c: Choice | undefined) => {
    if (c) q.engine.choose(c.index);
    onClose(true);
  };
  const press = (e: KeyboardEvent) => {
    const to: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: choices.length - 1 };
    const wanted = to[e.key];
    if (wanted !== undefined) setAt(Math.min(choices.length - 1, Math.max(0, wanted)));
    else if (e.key === "Enter" || e.key === " ") choose(choices[at]);
    else if (e.key === "Escape") onClose(true);
    else if (e.key === "Tab") return onClose(false);
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  return (
    <ul ref={box} class="menu" role="listbox" tabIndex={0} aria-label="Quality" aria-activedescendant={`quality-${at}`} onKeyDown={press}>
      {choices.map((c, i) => (
        <li key={c.index} id={`quality-${i}`} role="option" aria-selected={c.index === asked} class={i === at ? "at" : ""} data-level={c.index} onPointerMove={() => setAt(i)} onClick={() => choose(c)}>
          <span class="menu-check">{c.index === asked && <Check />}</span>
          <span class="numbers">{c.label}{c.note && <small>{c.note}</small>}</span>
        </li>
      ))}
    </ul>
  );
}
