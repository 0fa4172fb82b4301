import { useEffect, useRef, useState } from "preact/hooks";
import { api, sentence } from "../api/client";
import type { Track } from "../api/types";
import { follow, go } from "../route";
import { Cover } from "../ui/cover";
import { bytes, day, lengthOf, nameOf, timeOfDay } from "../ui/format";
import { Alert, Bin, Link, Pencil, Play } from "../ui/icons";
import { say } from "../ui/say";
import { PlayCountOf } from "./plays";
import { Rail } from "./rail";
import { wayOfTrack } from "./stages";
import { remove } from "./tracks";

/** TrackRow shows one of the creator's tracks, from received to published or refused. */
export function TrackRow({ track, canListen }: { track: Track; canListen: boolean }) {
  const [mode, setMode] = useState<"show" | "delete">("show");
  const name = nameOf(track);
  return (
    <li class="row" data-track={track.id} data-state={track.state}>
      <Cover track={track} size="medium" />
      <a class="row-names row-link" href={`/studio/${track.id}`} onClick={follow}>
        <span class="row-title">{name}</span>
        <span class="soft">{track.artist || track.file_name}</span>
      </a>
      <div class="row-state"><State track={track} /></div>
      {mode === "delete"
        ? <Confirm track={track} onClose={() => setMode("show")} />
        : <Actions track={track} canListen={canListen} onDelete={() => setMode("delete")} />}
    </li>
  );
}

function State({ track }: { track: Track }) {
  if (track.state === "refused") {
    return (
      <p class="wrong refusal">
        <Alert />
        <span>{track.refusal?.text ?? "This file could not be used."} <code>{track.refusal?.code}</code></span>
      </p>
    );
  }
  if (track.state === "published" && !track.replacing) {
    return (
      <p class="row-facts numbers">
        <span class="dot" aria-hidden="true" />
        {track.ad && <span class="chip">Ad</span>}
        <span>Published {track.release ? day(track.release.published) : ""}</span>
        <span class="soft">{lengthOf(track)}</span>
        <PlayCountOf track={track} />
        {track.master && <span class="soft wide-only">{bytes(track.master.size)}</span>}
        {track.refusal && <a class="chip chip-warn" href={`/studio/${track.id}`} onClick={follow}>Replacement refused</a>}
      </p>
    );
  }
  const way = wayOfTrack(track);
  return (
    <>
      <Rail way={way} label={`Progress of ${nameOf(track)}`} />
      <p class="row-words numbers">{way.words}</p>
    </>
  );
}

function Actions({ track, canListen, onDelete }: { track: Track; canListen: boolean; onDelete: () => void }) {
  const name = nameOf(track);
  const live = track.state === "published";
  return (
    <div class="row-actions">
      {live && canListen && (
        <button type="button" class="icon-button" onClick={() => go(`/player?track=${track.id}`)} aria-label={`Play ${name}`} title="Play"><Play /></button>
      )}
      {live && (
        <button type="button" class="icon-button" onClick={() => void copyLink(track)} aria-label={`Copy playback link of ${name}`} title="Copy playback link"><Link /></button>
      )}
      {track.state !== "refused" && (
        <a class="icon-button" href={`/studio/${track.id}`} onClick={follow} aria-label={`Edit ${name}`} title="Edit"><Pencil /></a>
      )}
      <button type="button" class="icon-button" onClick={onDelete} aria-label={`Delete ${name}`} title="Delete"><Bin /></button>
    </div>
  );
}

async function copyLink(track: Track): Promise<void> {
  try {
    const { url, expires } = await api.playback(track.id);
    await navigator.clipboard.writeText(new URL(url, location.href).href);
    const until = timeOfDay(expires);
    say(until ? `Link copied. Any HLS player can open it until ${until}.` : "Link copied. Any HLS player can open it.");
  } catch (err) {
    const text = err instanceof DOMException ? "The browser did not allow copying. Click into the page and try again." : sentence(err);
    say(text, { tone: "bad" });
  }
}

function Confirm({ track, onClose }: { track: Track; onClose: () => void }) {
  const keep = useRef<HTMLButtonElement>(null);
  useEffect(() => keep.current?.focus(), []);
  return (
    <div class="row-actions confirm" role="group" aria-label={`Delete ${nameOf(track)}?`} onKeyDown={(e) => e.key === "Escape" && onClose()}>
      <span>Delete it?</span>
      <button type="button" class="button danger" onClick={() => remove(track)}>Delete</button>
      <button type="button" class="button quiet" ref={keep} onClick={onClose}>Keep</button>
    </div>
  );
}
