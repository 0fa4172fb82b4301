import { useEffect, useRef, useState } from "preact/hooks";
import { api, sentence } from "../api/client";
import type { ReleaseOf, Track } from "../api/types";
import { bytes, clock, day, nameOf } from "../ui/format";
import { announce, say } from "../ui/say";
import { JobRow } from "./jobrow";
import { learn } from "./tracks";
import { add, jobs } from "./uploads";

/** Releases lists what listeners heard under this track, and takes a file to replace it. */
export function Releases({ track }: { track: Track }) {
  const [all, setAll] = useState<ReleaseOf[]>([]);
  const [busy, setBusy] = useState("");
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    let wanted = true;
    api.releases(track.id).then((r) => wanted && setAll(r), () => undefined);
    return () => {
      wanted = false;
    };
  }, [track.id, track.release?.id]);
  const restore = async (r: ReleaseOf) => {
    setBusy(r.id);
    try {
      learn(await api.restore(track.id, r.id));
      announce(`Release ${r.number} is heard again.`);
    } catch (err) {
      say(sentence(err), { tone: "bad" });
    }
    setBusy("");
  };
  const sending = jobs.value.filter((j) => j.replaces === track.id && j.state !== "done");
  return (
    <section class="card releases" aria-labelledby="h-releases">
      <div class="releases-head">
        <h2 id="h-releases">Releases</h2>
        <button type="button" class="button quiet" onClick={() => input.current?.click()}>Replace audio</button>
        <input
          ref={input}
          class="visually-hidden"
          type="file"
          accept="audio/*,.wav,.flac,.aiff,.aif,.ogg,.opus,.m4a,.mp3"
          tabIndex={-1}
          aria-label={`File to replace the audio of ${nameOf(track)}`}
          onChange={(e) => {
            add([...(e.currentTarget.files ?? [])].slice(0, 1), track.id);
            e.currentTarget.value = "";
          }}
        />
      </div>
      {sending.length > 0 && <ul class="rows">{sending.map((j) => <JobRow key={j.key} job={j} onChoose={() => input.current?.click()} />)}</ul>}
      <ol class="release-list">
        {all.map((r) => (
          <li key={r.id} aria-current={r.current ? "true" : undefined}>
            <span class="numbers">{r.number}</span>
            <span class="release-file">
              {r.file_name || "A file"}
              <span class="soft numbers"> {clock(Math.round(r.duration_seconds))} · {bytes(r.master.size)} · {day(r.published)}</span>
            </span>
            {r.current
              ? <span class="chip">Heard now</span>
              : <button type="button" class="button quiet" disabled={busy !== ""} onClick={() => void restore(r)} aria-label={`Restore release ${r.number}`}>Restore</button>}
          </li>
        ))}
      </ol>
      <p class="soft heard-note">Address, plays and names stay when the audio is replaced.</p>
    </section>
  );
}
