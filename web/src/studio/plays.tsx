import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { api } from "../api/client";
import type { PlayCount, Plays as Numbers, Track } from "../api/types";
import { count } from "../ui/format";
import * as own from "./tracks";

// How often the creator's tracks were played: asked for again and again while
// somebody looks, as plays come in all the time.

const counts = signal<ReadonlyMap<string, PlayCount>>(new Map());

const every = 5_000; // ms between looks
const slower = 60_000; // the same while the server does not say
const atOnce = 100; // tracks in one question

/** watchPlays keeps the counts of the listed tracks fresh until the returned function is called. */
export function watchPlays(): () => void {
  const asked = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let [wanted, looking] = [true, false];
  const plan = (ms: number) => {
    clearTimeout(timer);
    if (wanted) timer = setTimeout(() => void look(), ms);
  };
  const look = async () => {
    if (looking) return;
    looking = true;
    const fine = document.visibilityState === "hidden" || (await learn());
    looking = false;
    plan(fine ? every : slower);
  };
  const stop = own.tracks.subscribe((all) => {
    const fresh = all.filter((t) => t.release && !asked.has(t.id));
    for (const t of fresh) asked.add(t.id);
    if (fresh.length > 0) plan(300); // more of the list may be coming.
  });
  return () => {
    wanted = false;
    clearTimeout(timer);
    stop();
  };
}

async function learn(): Promise<boolean> {
  const ids = own.tracks.peek().filter((t) => t.release).map((t) => t.id);
  const next = new Map(counts.peek());
  try {
    for (let i = 0; i < ids.length; i += atOnce) {
      const some = ids.slice(i, i + atOnce);
      const answer = await api.playCounts(some);
      for (const id of some) next.set(id, { track: id, plays: 0, days: [] });
      for (const one of answer) next.set(one.track, one);
    }
  } catch {
    return false; // without numbers the list is as good as before.
  }
  counts.value = next;
  return true;
}

/** PlayCountOf writes a track's plays; nothing until they are known. */
export function PlayCountOf({ track }: { track: Track }) {
  const known = counts.value.get(track.id);
  return known ? <span class="soft" data-plays={known.plays} title="Plays of 30 seconds and more">{count(known.plays, "play")}</span> : null;
}

/** Plays shows how a track was listened to, by day. */
export function Plays({ track }: { track: Track }) {
  const [numbers, setNumbers] = useState<Numbers>();
  useEffect(() => {
    let wanted = true;
    const look = () => void (document.visibilityState === "visible" && api.plays(track.id).then((n) => wanted && setNumbers(n), () => undefined));
    look();
    const timer = setInterval(look, every);
    return () => {
      wanted = false;
      clearInterval(timer);
    };
  }, [track.id]);
  if (!numbers) return null;
  const { total, days } = numbers;
  const facts = [
    `${count(total.completions, "time")} to the end`, `${count(total.skips, "skip")}, ${total.early_skips} of them early`,
    `${heardFor(total.hours)} heard`,
  ];
  return (
    <section class="card plays" aria-labelledby="h-plays">
      <h2 id="h-plays">Plays</h2>
      <p class="plays-total numbers" data-plays={total.plays}>{total.plays.toLocaleString()}</p>
      <Bars days={days} />
      <p class="soft numbers">{facts.join(" · ")}</p>
      <p class="soft">A play counts once 30 seconds were heard, or all of a shorter track.</p>
    </section>
  );
}

/** heardFor writes hours as people would say them. */
function heardFor(hours: number): string {
  if (hours < 1) return count(Math.round(hours * 60), "minute");
  return hours < 10 ? `${hours.toFixed(1)} hours` : count(Math.round(hours), "hour");
}

/** Bars draws the plays of each day; the words say the same. */
function Bars({ days }: { days: Numbers["days"] }) {
  const most = Math.max(1, ...days.map((d) => d.plays));
  const today = days.at(-1);
  const label = `Plays of the last ${count(days.length, "day")}, ${today?.plays ?? 0} of them today by ${count(today?.listeners ?? 0, "listener")}`;
  return (
    <svg class="plays-days" viewBox={`0 0 ${days.length * 4} 32`} preserveAspectRatio="none" role="img" aria-label={label}>
      {days.map((d, i) => {
        const h = d.plays > 0 ? Math.max(3, (d.plays / most) * 32) : 1;
        return <rect key={d.date} x={i * 4} y={32 - h} width="3" height={h}><title>{`${d.date}: ${count(d.plays, "play")}`}</title></rect>;
      })}
    </svg>
  );
}
