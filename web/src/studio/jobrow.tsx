import { Drawn } from "../ui/cover";
import { follow } from "../route";
import { bytes, nameOf, remaining } from "../ui/format";
import { Again, Cross, Pause, Play } from "../ui/icons";
import { Rail } from "./rail";
import { wayOfJob } from "./stages";
import { tracks } from "./tracks";
import { cancel, decide, pause, resume, type Job } from "./uploads";

/** JobRow shows a file on its way to the server. */
export function JobRow({ job, onChoose }: { job: Job; onChoose: () => void }) {
  const way = wayOfJob(job);
  return (
    <li class="row" data-job={job.state}>
      <span class="cover cover-medium"><Drawn seed={job.track || job.name} /></span>
      <div class="row-names">
        <span class="row-title">{job.name}</span>
        <span class="soft numbers">{amount(job)}</span>
      </div>
      <div class="row-state">
        {job.state === "duplicate" && <Twin job={job} />}
        {job.state === "interrupted"
          ? <p class="soft">Not finished in your last visit. Choose the same file to go on where it stopped.</p>
          : job.state !== "duplicate" && <Rail way={way} label={`Progress of ${job.name}`} />}
        {job.wrong
          ? <p class="wrong" role="alert">{job.wrong.text} <code>{job.wrong.code}</code></p>
          : job.state !== "interrupted" && job.state !== "duplicate" && <p class="row-words numbers">{way.words}{pace(job)}</p>}
      </div>
      <div class="row-actions">
        <Steer job={job} onChoose={onChoose} />
        {job.state !== "done" && job.state !== "duplicate" && (
          <button type="button" class="icon-button" onClick={() => void cancel(job.key)} aria-label={`Cancel ${job.name}`} title="Cancel"><Cross /></button>
        )}
      </div>
    </li>
  );
}

/** Twin asks what to do with a file whose bytes are published already. */
function Twin({ job }: { job: Job }) {
  const twin = tracks.value.find((t) => t.id === job.twin);
  return (
    <div class="twin" role="group" aria-label={`${job.name} is there already`}>
      <p>
        You have published this very file{twin ? " as " : ""}
        {twin && <a href={`/studio/${twin.id}`} onClick={follow}>{nameOf(twin)}</a>}.
      </p>
      <button type="button" class="button quiet" onClick={() => void decide(job.key, "discard")}>Discard</button>
      <button type="button" class="button quiet" onClick={() => void decide(job.key, "both")}>Keep both</button>
    </div>
  );
}

function Steer({ job, onChoose }: { job: Job; onChoose: () => void }) {
  switch (job.state) {
    case "sending":
    case "waiting":
      return <button type="button" class="icon-button" onClick={() => void pause(job.key)} aria-label={`Pause ${job.name}`} title="Pause"><Pause /></button>;
    case "paused":
      return <button type="button" class="icon-button" onClick={() => resume(job.key)} aria-label={`Resume ${job.name}`} title="Resume"><Play /></button>;
    case "failed":
      return <button type="button" class="icon-button" onClick={() => resume(job.key)} aria-label={`Try ${job.name} again`} title="Try again"><Again /></button>;
    case "interrupted":
      return <button type="button" class="button quiet" onClick={onChoose}>Choose file</button>;
    default:
      return null;
  }
}

function amount(j: Job): string {
  const moving = j.state === "sending" || j.state === "paused" || j.state === "failed";
  return moving && j.sent > 0 ? `${bytes(j.sent)} of ${bytes(j.size)}` : bytes(j.size);
}

function pace(j: Job): string {
  if (j.state !== "sending" || j.rate <= 0) return "";
  return ` · ${bytes(j.rate)}/s · ${remaining((j.size - j.sent) / j.rate)}`;
}
