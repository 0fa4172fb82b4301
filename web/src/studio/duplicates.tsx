import { useEffect, useState } from "preact/hooks";
import { api, sentence } from "../api/client";
import type { Duplicate, Track } from "../api/types";
import { follow } from "../route";
import { say } from "../ui/say";

const kinds: Record<Duplicate["kind"], string> = {
  recording: "The same recording",
  review: "Perhaps the same recording",
  speed: "Perhaps the same, faster or slower",
};

/** Duplicates lists tracks that sound like the same recording; nothing at all when there are none. */
export function Duplicates({ track }: { track: Track }) {
  const [found, setFound] = useState<Duplicate[]>([]);
  useEffect(() => {
    let wanted = true;
    api.duplicates(track.id).then((d) => wanted && setFound(d.filter((one) => one.state === "open")), () => undefined);
    return () => {
      wanted = false;
    };
  }, [track.id, track.release?.id]);
  if (found.length === 0) return null;
  const dismiss = async (other: string) => {
    try {
      await api.dismiss(track.id, other);
      setFound(found.filter((d) => d.track?.id !== other));
    } catch (err) {
      say(sentence(err), { tone: "bad" });
    }
  };
  return (
    <section class="card duplicates" aria-labelledby="h-duplicates">
      <h2 id="h-duplicates">Sounds familiar</h2>
      <ul>
        {found.map((d, i) => {
          const other = d.track;
          return (
            <li key={other?.id ?? i}>
              <span>
                {kinds[d.kind]} as{" "}
                {other ? <a href={`/studio/${other.id}`} onClick={follow}>{other.title || "an untitled track"}</a> : "a track of another creator"}
                {Math.abs(d.offset_seconds) >= 1 && <span class="soft numbers"> ({Math.abs(d.offset_seconds).toFixed(0)} s {d.offset_seconds > 0 ? "later" : "earlier"})</span>}.
              </span>
              {other && <button type="button" class="button quiet" onClick={() => void dismiss(other.id)}>It is not</button>}
            </li>
          );
        })}
      </ul>
    </section>
  );
}
