import { useEffect, useRef, useState } from "preact/hooks";
import type { Track } from "../api/types";
import { nameOf } from "../ui/format";
import { Dots } from "../ui/icons";
import { say } from "../ui/say";
import { addLast, addNext } from "./line";

/** What the menu and the dock need below a row, in pixels. */
const room = 280;

/** RowMenu offers what else can be done with a track. */
export function RowMenu({ track }: { track: Track }) {
  const [open, setOpen] = useState(false);
  const [below, setBelow] = useState(true);
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    if (!open) return;
    list.current?.querySelector("button")?.focus();
    const away = (e: PointerEvent) => {
      if (!list.current?.contains(e.target as Node) && !button.current?.contains(e.target as Node)) setOpen(false);
    };
    addEventListener("pointerdown", away);
    return () => removeEventListener("pointerdown", away);
  }, [open]);
  const toggle = () => {
    setBelow((button.current?.getBoundingClientRect().bottom ?? 0) < innerHeight - room);
    setOpen(!open);
  };
  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  const choose = (add: (t: Track) => void, words: string) => () => {
    add(track);
    close();
    say(words, { seconds: 3 });
  };
  const press = (e: KeyboardEvent) => {
    const all = [...(list.current?.querySelectorAll("button") ?? [])];
    const at = all.indexOf(document.activeElement as HTMLButtonElement);
    if (e.key === "Escape") close();
    else if (e.key === "ArrowDown") all[(at + 1) % all.length]?.focus();
    else if (e.key === "ArrowUp") all[(at + all.length - 1) % all.length]?.focus();
    else if (e.key === "Tab") return setOpen(false);
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  const name = nameOf(track);
  return (
    <span class="row-menu">
      <button ref={button} type="button" class="icon-button" aria-label={`More for ${name}`} aria-haspopup="menu" aria-expanded={open} onClick={toggle}><Dots /></button>
      {open && (
        <ul ref={list} class={below ? "menu menu-below" : "menu"} role="menu" aria-label={name} onKeyDown={press}>
          <li role="none"><button type="button" role="menuitem" onClick={choose(addNext, `${name} plays next.`)}>Play next</button></li>
          <li role="none"><button type="button" role="menuitem" onClick={choose(addLast, `${name} is in the queue.`)}>Add to the queue</button></li>
        </ul>
      )}
    </span>
  );
}
