import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Cross } from "../ui/icons";

/** Which panel is open above the dock. */
export const open = signal<"" | "queue" | "details">("");

interface ToggleProps {
  of: "queue" | "details";
  label: string;
  children: ComponentChildren;
}

/** PanelButton opens a panel, and closes it. */
export function PanelButton({ of, label, children }: ToggleProps) {
  const here = open.value === of;
  return (
    <button type="button" class="icon-button panel-button" aria-label={label} title={label} aria-expanded={here} data-panel={of} onClick={() => (open.value = here ? "" : of)}>
      {children}
    </button>
  );
}

/** Panel shows something above the dock until it is closed, with Escape too. */
export function Panel({ title, children, actions }: { title: string; children: ComponentChildren; actions?: ComponentChildren }) {
  const box = useRef<HTMLElement>(null);
  const close = () => {
    const of = open.value;
    open.value = "";
    document.querySelector<HTMLElement>(`[data-panel=${of}]`)?.focus();
  };
  useEffect(() => box.current?.focus(), []);
  return (
    <section
      ref={box}
      class="panel"
      tabIndex={-1}
      aria-label={title}
      onKeyDown={(e) => {
        if (e.key !== "Escape") return;
        e.stopPropagation();
        close();
      }}
    >
      <header class="panel-top">
        <h2>{title}</h2>
        {actions}
        <button type="button" class="icon-button" aria-label={`Close ${title.toLowerCase()}`} onClick={close}><Cross /></button>
      </header>
      <div class="panel-body">{children}</div>
    </section>
  );
}
