import { useEffect } from "preact/hooks";
import type { Tier } from "../api/types";
import { Cover } from "../ui/cover";
import { clock, nameOf, spoken } from "../ui/format";
import { Gauge, Lines, Loud, Muted, Next, Pause, Play, Previous, Quiet } from "../ui/icons";
import { followMediaKeys } from "./mediakeys";
import { DetailsPanel } from "./detailspanel";
import { open, PanelButton } from "./panel";
import * as q from "./queue";
import { QualityMenu } from "./qualitymenu";
import { QueuePanel } from "./queuepanel";
import { Slider } from "./slider";
import * as v from "./volume";

declare global {
  interface Window {
    /** For tests and for the curious at the console. */
    melodyud?: { audio: HTMLAudioElement; readonly hls: unknown };
  }
}

/** Dock is the bar that plays, whichever room is open; `shy` keeps it away until something does. */
export function Dock({ tier, shy }: { tier: Tier; shy: boolean }) {
  useEffect(() => {
    const unfollow = followMediaKeys();
    window.melodyud = {
      audio: q.engine.audio,
      get hls() {
        return q.engine.hls;
      },
    };
    return () => {
      q.silence();
      unfollow();
    };
  }, []);
  const t = q.current.value;
  const sound = q.engine.sound.value;
  const ad = q.spot.value;
  return (
    <section class="dock" aria-label="Player" data-sound={sound} hidden={shy && !t}>
      {open.value === "queue" && <QueuePanel />}
      {open.value === "details" && <DetailsPanel />}
      <div class="dock-inner">
        <div class="dock-track">
          {t ? <Cover key={t.id} track={t} size="medium" /> : <span class="cover cover-medium cover-none" />}
          <div class="dock-names">
            <span class="dock-title numbers">{ad ? `Advertisement, ${Math.ceil(ad.left)} s` : t ? nameOf(t) : "Nothing is playing"}</span>
            {ad ? <span class="soft">{[ad.advertiser, ad.title].filter(Boolean).join(": ")}</span> : q.trouble.value
              ? <span class="wrong dock-trouble">{q.trouble.value}</span>
              : <span class="soft">{t ? t.artist || "Unknown artist" : "Choose a track"}</span>}
          </div>
        </div>
        <Transport sound={sound} />
        <SeekBar />
        <div class="dock-side">
          <QualityMenu />
          {tier === "premium" && <HifiSwitch />}
          <PanelButton of="queue" label="Queue"><Lines /></PanelButton>
          <PanelButton of="details" label="Sound details"><Gauge /></PanelButton>
          <Volume />
        </div>
      </div>
    </section>
  );
}

function Transport({ sound }: { sound: string }) {
  const going = q.going.value;
  const waiting = sound === "loading" || sound === "stalled";
  return (
    <div class="transport">
      <button type="button" class="icon-button" aria-label="Previous track" title="Previous (P)" disabled={!q.hasPrevious.value || q.engine.ads.on.value} onClick={q.previous}><Previous /></button>
      <button
        type="button"
        class={`play-button${waiting ? " waiting" : ""}`}
        aria-label={going ? "Pause" : "Play"}
        title={going ? "Pause (Space)" : "Play (Space)"}
        aria-busy={waiting}
        disabled={!q.current.value && q.list.value.length === 0}
        onClick={q.toggle}
      >
        {going ? <Pause /> : <Play />}
      </button>
      <button type="button" class="icon-button" aria-label="Next track" title="Next (N)" disabled={!q.hasNext.value || q.engine.ads.on.value} onClick={q.next}><Next /></button>
    </div>
  );
}

function SeekBar() {
  const position = q.position.value;
  const duration = q.duration.value;
  return (
    <div class="seek numbers">
      <span class="seek-time" aria-hidden="true">{q.current.value ? clock(position) : "–:––"}</span>
      <Slider
        class="seek-slider"
        label="Position"
        value={position}
        max={duration}
        step={5}
        leap={30}
        text={`${spoken(position)} of ${spoken(duration)}`}
        buffered={q.buffered.value}
        disabled={duration === 0 || q.engine.ads.on.value}
        onInput={(v) => q.seek(v)}
      />
      <span class="seek-time" aria-hidden="true">{q.current.value ? clock(Math.round(duration)) : "–:––"}</span>
    </div>
  );
}

function HifiSwitch() {
  const missing = q.current.value !== undefined && !q.hifiOffered.value && q.engine.sound.value !== "loading";
  const title = missing ? "This track has no lossless version" : "Lossless sound; falls back when the connection is too slow";
  return (
    <button type="button" class="switch" role="switch" aria-checked={q.hifiWanted.value} title={title} onClick={() => q.wantHifi(!q.hifiWanted.value)}>
      <span class="switch-track" aria-hidden="true"><span class="switch-knob" /></span>
      <span>Hi-fi</span>
    </button>
  );
}

function Volume() {
  const now = v.muted.value ? 0 : v.volume.value;
  return (
    <div class="volume">
      <button type="button" class="icon-button" aria-label={v.muted.value ? "Turn sound on" : "Mute"} aria-pressed={v.muted.value} title="Mute (M)" onClick={v.toggleMute}>
        {now === 0 ? <Muted /> : now < 0.5 ? <Quiet /> : <Loud />}
      </button>
      <Slider class="volume-slider" label="Volume" value={now * 100} max={100} step={5} leap={20} text={`${Math.round(now * 100)} per cent`} onInput={(x) => v.setVolume(x / 100)} />
    </div>
  );
}
