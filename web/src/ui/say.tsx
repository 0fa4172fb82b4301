import { signal } from "@preact/signals";
import { Cross } from "./icons";

export interface Note {
  key: number;
  text: string;
  code?: string;
  tone: "plain" | "bad";
  action?: { label: string; run: () => void };
}

const notes = signal<Note[]>([]);
const spoken = signal("");
let lastKey = 0;

/** announce speaks to screen readers only. */
export function announce(text: string): void {
  spoken.value = text;
}

/** say shows a note for a while and reads it out; it returns a function that takes it back. */
export function say(text: string, more: Partial<Omit<Note, "key" | "text">> & { seconds?: number } = {}): () => void {
  const { seconds = 6, ...rest } = more;
  const note: Note = { key: ++lastKey, text, tone: "plain", ...rest };
  const close = () => {
    notes.value = notes.value.filter((n) => n.key !== note.key);
  };
  notes.value = [...notes.value.slice(-2), note];
  setTimeout(close, seconds * 1000);
  return close;
}

/** Notes is where say and announce come out; it is in the page once. */
export function Notes() {
  return (
    <>
      <div class="visually-hidden" role="status" aria-live="polite" id="announcer">{spoken.value}</div>
      <div class="notes" role="status" aria-live="polite">
        {notes.value.map((n) => <OneNote key={n.key} note={n} />)}
      </div>
    </>
  );
}

function OneNote({ note }: { note: Note }) {
  const close = () => {
    notes.value = notes.value.filter((n) => n.key !== note.key);
  };
  return (
    <div class={`note note-${note.tone}`}>
      <p>{note.text}{note.code && <code>{note.code}</code>}</p>
      {note.action && (
        <button type="button" class="button quiet" onClick={() => { close(); note.action?.run(); }}>{note.action.label}</button>
      )}
      <button type="button" class="icon-button" aria-label="Close this note" onClick={close}><Cross /></button>
    </div>
  );
}
