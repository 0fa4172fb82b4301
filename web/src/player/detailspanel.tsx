import { useEffect, useState } from "preact/hooks";
import { clock } from "../ui/format";
import { levels, type Level } from "./loudness";
import { Panel } from "./panel";
import * as q from "./queue";
import * as v from "./volume";

const names: Record<Level, string> = { loud: "Loud", normal: "Normal", quiet: "Quiet", off: "Off" };

/** DetailsPanel holds what few listeners change and what helps to find out what is wrong. */
export function DetailsPanel() {
  return (
    <Panel title="Sound details">
      <Evening />
      <Facts />
    </Panel>
  );
}

function Evening() {
  const gain = v.gain.value;
  const now = v.level.value === "off"
    ? "Tracks play as loud as they were made."
    : `Tracks play about equally loud${q.album.value ? ", an album as a whole" : ""}.`;
  return (
    <fieldset class="evening">
      <legend>Even out loudness</legend>
      <div class="evening-choices">
        {levels.map((l) => (
          <label key={l}>
            <input type="radio" name="loudness" value={l} checked={v.level.value === l} onChange={() => (v.level.value = l)} />
            <span>{names[l]}</span>
          </label>
        ))}
      </div>
      <p class="soft">{now}{gain !== 0 && <> This one by <span class="numbers">{signed(gain)} dB</span>.</>}</p>
    </fieldset>
  );
}

function Facts() {
  const [, tick] = useState(0);
  useEffect(() => {
    const every = setInterval(() => tick((n) => n + 1), 500);
    return () => clearInterval(every);
  }, []);
  return (
    <dl class="facts numbers">
      {facts().map(([name, value]) => (
        <div key={name}><dt class="soft">{name}</dt><dd>{value || "–"}</dd></div>
      ))}
    </dl>
  );
}

function facts(): [string, string][] {
  const e = q.engine;
  const counts = e.counts.value;
  const seen = e.seen.value;
  const ticket = q.ticketNow();
  const ms = (n: number | undefined) => (n === undefined ? "" : `${Math.round(n)} ms`);
  return [
    ["Quality", e.heard.value?.label ?? ""],
    ["Ready ahead", q.current.value ? `${e.ahead().toFixed(1)} s` : ""],
    ["Connection", e.hls ? `${(e.bandwidth() / 1e6).toFixed(1)} Mbit/s` : ""],
    ["From press to sound", ms(e.startup.value)],
    ["Changes of quality", String(counts.switches)],
    ["Stops", String(counts.stalls)],
    ["Last segment", seen ? `${Math.round(seen.bytes / 1000)} kB in ${ms(seen.whole)}, first byte ${ms(seen.first)}` : ""],
    ["Cache", seen?.cache ?? ""],
    ["Time at the edge", timeOf(seen?.timing)],
    ["Ticket ends in", ticket ? clock((ticket.expires - Date.now()) / 1000) : ""],
    ["Session", ticket?.session ?? ""],
  ];
}

/** timeOf reads Server-Timing: "edge;dur=1.2". */
function timeOf(timing = ""): string {
  const [, ms] = /dur=([\d.]+)/.exec(timing) ?? [];
  return ms === undefined ? timing : `${ms} ms`;
}

function signed(db: number): string {
  return `${db > 0 ? "+" : "−"}${Math.abs(db).toFixed(1)}`;
}
