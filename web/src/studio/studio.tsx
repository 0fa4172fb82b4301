import { useEffect, useRef } from "preact/hooks";
import { announce, say } from "../ui/say";
import { count } from "../ui/format";
import { DropZone } from "./dropzone";
import { TrackPage } from "./detail";
import { JobRow } from "./jobrow";
import { watchPlays } from "./plays";
import { QuotaLine } from "./quota";
import { TrackRow } from "./trackrow";
import * as own from "./tracks";
import { add, forget, jobs, recall, whenUploaded } from "./uploads";

/** Studio is the creator's room: all tracks, or the page of one. */
export function Studio({ canListen, detail }: { canListen: boolean; detail: string }) {
  const room = useRef<HTMLDivElement>(null);
  useEffect(() => {
    whenUploaded((id) => void own.fetchOne(id));
    void recall();
    return own.follow();
  }, []);
  useEffect(watchPlays, []);
  useEffect(dropArrived);

  const sending = jobs.value.filter((j) => !(j.track && j.state === "done" && own.known(j.track)));
  const tracks = own.tracks.value.filter((t) => !sending.some((j) => j.track === t.id && !j.replaces));
  const empty = !own.loading.value && tracks.length === 0 && sending.length === 0;
  const choose = () => room.current?.querySelector<HTMLInputElement>("input[type=file]")?.click();

  if (detail) return <TrackPage key={detail} id={detail} canListen={canListen} />;
  return (
    <div class="studio" ref={room}>
      <div class="room-head">
        <h1>Studio</h1>
        <QuotaLine />
        {own.link.value === "lost" && <p class="chip chip-warn" role="status">Reconnecting. Progress shown here may be late.</p>}
      </div>
      <DropZone big={empty && !own.wrong.value} onFiles={take} />
      {own.wrong.value && (
        <p class="wrong" role="alert">{own.wrong.value} <button type="button" class="button quiet" onClick={() => void own.load()}>Try again</button></p>
      )}
      {empty && !own.wrong.value && <HowItWorks />}
      {sending.length > 0 && (
        <section aria-labelledby="h-way">
          <h2 class="list-head" id="h-way">On the way</h2>
          <ul class="rows">{sending.map((j) => <JobRow key={j.key} job={j} onChoose={choose} />)}</ul>
        </section>
      )}
      {tracks.length > 0 && (
        <section aria-labelledby="h-own">
          <h2 class="list-head" id="h-own">Your tracks</h2>
          <ul class="rows">{tracks.map((t) => <TrackRow key={t.id} track={t} canListen={canListen} />)}</ul>
          {own.more.value && <button type="button" class="button quiet more" onClick={() => void own.load(own.more.value)}>Show more</button>}
        </section>
      )}
    </div>
  );
}

function take(files: File[]): void {
  const full = files.filter((f) => f.size > 0);
  if (full.length < files.length) say(`${count(files.length - full.length, "file")} had nothing in it and was left out.`, { tone: "bad" });
  if (full.length === 0) return;
  add(full);
  announce(`${count(full.length, "file")} added.`);
}

/** dropArrived clears jobs whose track is on the list. */
function dropArrived(): void {
  for (const j of jobs.value) if (j.state === "done" && j.track && own.known(j.track)) forget(j.key);
}

function HowItWorks() {
  return (
    <ol class="teach">
      <li><strong>Upload</strong><span class="soft">Several at once, and again from where it stopped if the connection breaks.</span></li>
      <li><strong>Watch</strong><span class="soft">Each file is checked and encoded while you look. If one cannot be used, you read why.</span></li>
      <li><strong>Play</strong><span class="soft">Seconds later it is published, in every quality up to lossless.</span></li>
    </ol>
  );
}
