import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { api, sentence } from "../api/client";
import type { Album, Tier, Track, TrackPage } from "../api/types";
import { go, place } from "../route";
import { Cover, Drawn } from "../ui/cover";
import { clock, count, lengthOf, nameOf } from "../ui/format";
import { Bars, Note, Pause, Play } from "../ui/icons";
import { whenIdle } from "../ui/later";
import * as q from "./queue";
import { RowMenu } from "./rowmenu";
import { ready } from "./volume";
import { peaksOf } from "./waveform";

const loading = signal(true);
const wrong = signal("");
const more = signal("");
const albums = signal<Album[]>([]);

let first: Promise<TrackPage> | undefined;

/** early asks for what the room needs before it is known who is there. */
export function early(): void {
  first = api.catalog();
  first.catch(() => (first = undefined)); // load asks again, and says what is wrong.
  void q.engine.warm().then(() => whenIdle(ready));
}

async function load(cursor?: string): Promise<void> {
  const asked = cursor ? undefined : first;
  first = undefined;
  try {
    const page = await (asked ?? api.catalog(cursor));
    const fresh = page.tracks ?? [];
    q.list.value = cursor ? [...q.list.value, ...fresh.filter((t) => !q.list.value.some((o) => o.id === t.id))] : fresh;
    more.value = page.next ?? "";
    wrong.value = "";
  } catch (err) {
    wrong.value = sentence(err);
  } finally {
    loading.value = false;
  }
}

/** loadAlbums fills the shelf; without it there is still the list. */
async function loadAlbums(): Promise<void> {
  albums.value = (await api.albums().catch(() => ({ albums: [] }))).albums ?? [];
}

/** playLinked plays the track a link asks for, wherever it is in the catalogue. */
async function playLinked(id: string): Promise<void> {
  go("/player", "replace");
  let t = q.list.value.find((x) => x.id === id);
  try {
    t ??= await api.track(id);
  } catch (err) {
    wrong.value = sentence(err);
    return;
  }
  if (!q.list.value.some((x) => x.id === id)) q.list.value = [t, ...q.list.value];
  void q.play(t);
}

/** Player is the listener's room. */
export function Player({ tier }: { tier: Tier }) {
  const linked = place.value.track;
  useEffect(() => {
    void load();
    void loadAlbums();
    void q.engine.warm();
  }, []);
  const top = q.list.value[0];
  useEffect(() => {
    if (top && !q.current.value) q.likely(top);
  }, [top?.id]);
  useEffect(() => {
    if (linked && !loading.value) void playLinked(linked);
  }, [linked, loading.value]);

  const tracks = q.list.value;
  const length = tracks.reduce((sum, t) => sum + (t.release?.duration_seconds ?? 0), 0);
  return (
    <div class="listen">
      <Hero tier={tier} />
      <Shelf />
      <section aria-labelledby="h-all">
        <div class="list-top">
          <h2 class="list-head" id="h-all">All tracks</h2>
          {tracks.length > 0 && <span class="soft numbers">{count(tracks.length, "track")} · {clock(length)}</span>}
        </div>
        {wrong.value && <p class="wrong" role="alert">{wrong.value} <button type="button" class="button quiet" onClick={() => void load()}>Try again</button></p>}
        {!loading.value && !wrong.value && tracks.length === 0 && <Nothing />}
        <ol class="songs">{tracks.map((t, i) => <Song key={t.id} track={t} number={i + 1} />)}</ol>
        {more.value && <button type="button" class="button quiet more" onClick={() => void load(more.value)}>Show more</button>}
      </section>
    </div>
  );
}

/** Shelf shows albums of two tracks and more; a press plays one without a gap. */
function Shelf() {
  const shown = albums.value.filter((a) => a.track_count > 1);
  if (shown.length === 0) return null;
  return (
    <section class="shelf" aria-labelledby="h-albums">
      <h2 class="list-head" id="h-albums">Albums</h2>
      <ul class="albums">
        {shown.map((a) => {
          const here = q.album.value?.id === a.id;
          const sounding = here && q.going.value;
          const cover = q.list.value.find((t) => t.id === a.cover_track);
          return (
            <li key={a.id} data-album={a.id}>
              <button type="button" class="album" aria-label={`${sounding ? "Pause" : "Play"} album ${a.title}${a.artist ? ` by ${a.artist}` : ""}`} onClick={() => (here ? q.toggle() : void q.playAlbum(a))}>
                {cover ? <Cover track={cover} size="medium" /> : <span class="cover cover-medium"><Drawn seed={a.id} /></span>}
                <span class="song-names">
                  <span class="song-title">{a.title}</span>
                  <span class="soft">{[a.artist || "Several artists", count(a.track_count, "track"), clock(a.duration_seconds)].join(" · ")}</span>
                </span>
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function Nothing() {
  return (
    <div class="nothing">
      <Note />
      <p>No music has been published yet.</p>
      <p class="soft">Upload a track in the Studio; it is here seconds later.</p>
    </div>
  );
}

function Hero({ tier }: { tier: Tier }) {
  const t = q.current.value ?? q.list.value[0];
  if (!t) return <h1 class="visually-hidden">Listen</h1>;
  const now = q.current.value !== undefined;
  const heard = q.engine.heard.value;
  return (
    <section class="hero" aria-label={now ? "Now playing" : "Start listening"}>
      <Cover key={t.id} track={t} size="large" />
      <div class="hero-words">
        <p class="eyebrow">{q.spot.value ? "After the advertisement" : now ? (q.engine.sound.value === "playing" ? "Now playing" : "Ready") : "Start here"}</p>
        <h1>{nameOf(t)}</h1>
        <p class="hero-artist">{[t.artist || "Unknown artist", t.album].filter(Boolean).join(" · ")}</p>
        <p class="hero-quality soft numbers">
          {heard ? heard.label : lengthOf(t)}
          {heard?.family === "FLAC" && <span class="chip">Lossless</span>}
          {tier === "premium" && q.hifiWanted.value && heard && heard.family !== "FLAC" && <span class="chip chip-warn">Standard quality</span>}
        </p>
        <Wave key={t.id} track={t} live={now} />
      </div>
    </section>
  );
}

const bars = 120;

/** Wave draws the loudness of one track; a press seeks and a drag scrubs. The slider below does the same for keyboards. */
function Wave({ track, live }: { track: Track; live: boolean }) {
  const [peaks, setPeaks] = useState<number[] | undefined>();
  const [at, setAt] = useState<number | undefined>(); // where the pointer is, 0..1
  const later = live && q.engine.sound.value === "loading"; // the sound goes first.
  useEffect(() => {
    let wanted = true;
    if (later || peaks) return;
    api.waveform(track.id).then((data) => wanted && setPeaks(peaksOf(data, bars)), () => undefined);
    return () => {
      wanted = false;
    };
  }, [later]);
  const duration = live ? q.duration.value : 0;
  const [dragged, setDragged] = useState(false);
  const share = dragged && at !== undefined ? at : duration > 0 ? q.position.value / duration : 0;
  const shareOf = (e: PointerEvent) => {
    const box = (e.currentTarget as Element).getBoundingClientRect();
    return Math.min(1, Math.max(0, (e.clientX - box.left) / box.width));
  };
  const grab = (e: PointerEvent) => {
    if (duration === 0 || e.button !== 0) return;
    (e.currentTarget as Element).setPointerCapture(e.pointerId);
    setDragged(true);
    setAt(shareOf(e));
  };
  const drop = (e: PointerEvent) => {
    if (dragged) q.seek(shareOf(e) * duration);
    setDragged(false);
  };
  const leave = () => {
    setDragged(false);
    setAt(undefined);
  };
  const ready = (i: number) => q.buffered.value.some((r) => r.from <= ((i + 0.5) / bars) * duration && r.to >= ((i + 0.5) / bars) * duration);
  return (
    <div class={`wave${duration > 0 ? " wave-live" : ""}`} aria-hidden="true" onPointerDown={grab} onPointerMove={(e) => setAt(shareOf(e))} onPointerUp={drop} onPointerCancel={leave} onPointerLeave={leave}>
      {peaks && (
        <svg viewBox={`0 0 ${bars * 4} 100`} preserveAspectRatio="none" focusable="false">
          {peaks.map((p, i) => {
            const h = Math.max(3, p * 100);
            const state = (i + 0.5) / bars <= share ? "past" : duration > 0 && ready(i) ? "ready" : "";
            return <rect key={i} class={state} x={i * 4} y={(100 - h) / 2} width="2.4" height={h} />;
          })}
        </svg>
      )}
      {duration > 0 && at !== undefined && <span class="wave-time numbers" style={{ left: `${at * 100}%` }}>{clock(at * duration)}</span>}
    </div>
  );
}

let coming: ReturnType<typeof setTimeout> | undefined;

/** near tells the track that a pointer or the focus rests on; without one it has left. */
function near(t?: Track): void {
  clearTimeout(coming);
  if (t) coming = setTimeout(() => q.likely(t), 60); // not for every row that it passes.
}

function Song({ track, number }: { track: Track; number: number }) {
  const here = q.current.value?.id === track.id;
  const sounding = here && q.going.value;
  const name = nameOf(track);
  return (
    <li class={`song${here ? " here" : ""}`} data-track={track.id} aria-current={here ? "true" : undefined} onPointerEnter={() => near(track)} onPointerLeave={() => near()} onPointerDown={() => q.likely(track)} onFocusIn={() => near(track)} onFocusOut={() => near()}>
      <button type="button" class="song-button" onClick={() => (here ? q.toggle() : void q.play(track))} aria-label={`${sounding ? "Pause" : "Play"} ${name}${track.artist ? ` by ${track.artist}` : ""}`}>
        <span class="song-number numbers" aria-hidden="true">
          <span class="song-rest">{here ? <Bars moving={sounding} /> : number}</span>
          <span class="song-hover">{sounding ? <Pause /> : <Play />}</span>
        </span>
        <Cover track={track} size="small" />
        <span class="song-names">
          <span class="song-title">{name}</span>
          <span class="soft">{track.artist || "Unknown artist"}</span>
        </span>
        <span class="song-album soft wide-only">{track.album}</span>
        <span class="song-time soft numbers">{lengthOf(track)}</span>
      </button>
      <RowMenu track={track} />
    </li>
  );
}
