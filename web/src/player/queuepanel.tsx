import type { ComponentChildren } from "preact";
import type { Track } from "../api/types";
import { Cover } from "../ui/cover";
import { lengthOf, nameOf } from "../ui/format";
import { Cross, Down, Up } from "../ui/icons";
import { announce } from "../ui/say";
import * as l from "./line";
import { Panel } from "./panel";
import * as q from "./queue";

/** How much of what the list goes on with is shown. */
const shown = 30;

/** QueuePanel shows what plays next, and lets the listener put it in order. */
export function QueuePanel() {
  const line = l.line.value;
  const rest = q.following.value.slice(0, shown);
  const now = q.current.value;
  const clear = line.length > 0 && <button type="button" class="button quiet" onClick={l.clear}>Clear</button>;
  return (
    <Panel title="Queue" actions={clear}>
      {now && <Group title="Now playing"><Row track={now} /></Group>}
      {line.length > 0 && (
        <Group title="Next in the queue">
          {line.map((t, i) => <Row key={`${t.id} ${i}`} track={t} onPlay={() => q.playLined(i)}><Order track={t} at={i} last={i === line.length - 1} /></Row>)}
        </Group>
      )}
      {rest.length > 0 && (
        <Group title={q.album.value ? `Then from ${q.album.value.title}` : "Then from all tracks"}>
          {rest.map((t) => <Row key={t.id} track={t} onPlay={() => void q.play(t)} />)}
        </Group>
      )}
      {line.length === 0 && rest.length === 0 && <p class="soft panel-empty">Nothing follows. Choose “Play next” or “Add to the queue” beside a track.</p>}
    </Panel>
  );
}

function Group({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="panel-group" aria-label={title}>
      <h3 class="soft">{title}</h3>
      <ol>{children}</ol>
    </section>
  );
}

function Row({ track, onPlay, children }: { track: Track; onPlay?: () => void; children?: ComponentChildren }) {
  const name = nameOf(track);
  const words = (
    <>
      <Cover track={track} size="small" />
      <span class="song-names">
        <span class="song-title">{name}</span>
        <span class="soft">{track.artist || "Unknown artist"}</span>
      </span>
    </>
  );
  return (
    <li class="lined" data-lined={track.id}>
      {onPlay
        ? <button type="button" class="lined-button" aria-label={`Play ${name} now`} onClick={onPlay}>{words}</button>
        : <span class="lined-button">{words}</span>}
      {children ?? <span class="soft numbers lined-time">{lengthOf(track)}</span>}
    </li>
  );
}

function Order({ track, at, last }: { track: Track; at: number; last: boolean }) {
  const name = nameOf(track);
  const to = (by: number) => {
    l.move(at, at + by);
    announce(`${name} is now number ${at + by + 1} in the queue.`);
  };
  const gone = () => {
    l.remove(at);
    announce(`${name} was taken out of the queue.`);
  };
  return (
    <span class="lined-order">
      <button type="button" class="icon-button" aria-label={`Move ${name} up`} disabled={at === 0} onClick={() => to(-1)}><Up /></button>
      <button type="button" class="icon-button" aria-label={`Move ${name} down`} disabled={last} onClick={() => to(1)}><Down /></button>
      <button type="button" class="icon-button" aria-label={`Remove ${name} from the queue`} onClick={gone}><Cross /></button>
    </span>
  );
}
