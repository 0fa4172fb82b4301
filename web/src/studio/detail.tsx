import { useEffect, useState } from "preact/hooks";
import { ApiError, api, sentence } from "../api/client";
import type { Features, Track } from "../api/types";
import { follow, go } from "../route";
import { Cover } from "../ui/cover";
import { day, lengthOf, nameOf } from "../ui/format";
import { Alert, Back, Play } from "../ui/icons";
import { Duplicates } from "./duplicates";
import { Edit } from "./edit";
import { Heard } from "./heard";
import { Outline } from "./outline";
import { Plays } from "./plays";
import { Rail } from "./rail";
import { Releases } from "./releases";
import { Report } from "./report";
import { wayOfTrack } from "./stages";
import { Territories } from "./territories";
import * as own from "./tracks";

/** TrackPage is all there is to know and to do about one of the creator's tracks. */
export function TrackPage({ id, canListen }: { id: string; canListen: boolean }) {
  const [missing, setMissing] = useState("");
  useEffect(() => {
    void api.track(id).then(own.learn, (err) => setMissing(sentence(err)));
  }, [id]);
  const track = own.tracks.value.find((t) => t.id === id);
  return (
    <div class="studio detail">
      <a class="back" href="/studio" onClick={follow}><Back /> All tracks</a>
      {track ? <Body track={track} canListen={canListen} /> : missing && <p class="wrong" role="alert">{missing}</p>}
    </div>
  );
}

function Body({ track, canListen }: { track: Track; canListen: boolean }) {
  const heard = useFeatures(track);
  return (
    <>
      <Head track={track} canListen={canListen} />
      <Trouble track={track} />
      {track.release && <Outline track={track} features={heard.features} />}
      <div class="detail-columns">
        <div class="detail-column">
          <Edit key={track.id} track={track} />
          {track.release && <Territories track={track} />}
          {track.release && <Releases track={track} />}
        </div>
        {track.release && (
          <div class="detail-column">
            <Plays track={track} />
            {heard.features && <Report features={heard.features} />}
            {heard.features && <Heard features={heard.features} />}
            {heard.wrong && <p class="soft">{heard.wrong}</p>}
            <Duplicates track={track} />
          </div>
        )}
      </div>
    </>
  );
}

/** useFeatures loads what was heard of the release that listeners hear. */
function useFeatures(track: Track): { features?: Features; wrong: string } {
  const [features, setFeatures] = useState<Features>();
  const [wrong, setWrong] = useState("");
  const release = track.release?.id;
  useEffect(() => {
    let wanted = true;
    setFeatures(undefined);
    setWrong("");
    if (!release) return;
    api.features(track.id).then(
      (f) => wanted && setFeatures(f),
      (err) => wanted && setWrong(err instanceof ApiError && err.code === "features.not-yet" ? "Nobody has listened to this track yet: it is older than that." : sentence(err)),
    );
    return () => {
      wanted = false;
    };
  }, [track.id, release]);
  return features ? { features, wrong } : { wrong };
}

function Head({ track, canListen }: { track: Track; canListen: boolean }) {
  return (
    <div class="detail-head">
      <Cover track={track} size="large" />
      <div class="detail-names">
        <h1>{nameOf(track)}</h1>
        <p class="soft">{[track.artist, track.album].filter(Boolean).join(" · ") || track.file_name}</p>
        <p class="soft numbers">
          {track.release ? `${lengthOf(track)} · published ${day(track.release.published)} · release ${track.release.number}` : "Not published yet"}
        </p>
      </div>
      {track.release && canListen && (
        <button type="button" class="button primary" onClick={() => go(`/player?track=${track.id}`)}><Play /> Play</button>
      )}
    </div>
  );
}

/** Trouble shows work under way, and why the last file was not accepted. */
function Trouble({ track }: { track: Track }) {
  const way = wayOfTrack(track);
  return (
    <>
      {(track.state === "received" || track.replacing) && (
        <div class="card detail-way" role="status">
          <p>{track.replacing ? "Other audio is being prepared. Until it is published, listeners hear the present release." : "Being prepared."}</p>
          <Rail way={way} label={`Progress of ${nameOf(track)}`} />
          <p class="row-words numbers">{way.words}</p>
        </div>
      )}
      {track.refusal && (
        <p class="wrong refusal" role="alert">
          <Alert />
          <span>
            {track.state === "published" && "The file meant to replace the audio was not accepted; nothing changed for listeners. "}
            {track.refusal.text} <code>{track.refusal.code}</code>
          </span>
        </p>
      )}
    </>
  );
}
