import { signal } from "@preact/signals";
import type { DetailedError, PreviousUpload, Upload } from "tus-js-client";
import { ApiError, api, problemToError, sentence } from "../api/client";
import { say } from "../ui/say";
import { Rate } from "./rate";

// Files on their way to the server. At most `lanes` travel at once; the rest wait.

export type JobState =
  | "waiting" // for a lane
  | "sending"
  | "finishing" // all bytes sent; the server is storing the last of them
  | "paused"
  | "failed"
  | "duplicate" // the creator has published these very bytes; it waits for a decision
  | "interrupted" // begun in an earlier visit; the file must be chosen again
  | "done";

export interface Job {
  key: string;
  name: string;
  size: number;
  sent: number;
  /** Bytes per second; 0 while unknown. */
  rate: number;
  state: JobState;
  /** The track this becomes, as soon as the server has named it. */
  track: string;
  /** The track whose audio it replaces. */
  replaces?: string;
  /** The track that has the same bytes, in state duplicate. */
  twin?: string;
  wrong?: { text: string; code: string };
}

export const jobs = signal<Job[]>([]);

const endpoint = "/v1/uploads";
const lanes = 3;
/** Small enough for proxies that hold whole bodies, large enough not to cost speed. */
const chunk = 32 * 1024 * 1024;
const retryDelays = [0, 1_000, 3_000, 5_000, 10_000, 20_000, 30_000];

/** What a job needs beyond what is shown. */
interface Work {
  file?: File;
  upload?: Upload;
  previous?: PreviousUpload;
  rate: Rate;
}

const works = new Map<string, Work>();
let lastKey = 0;
let onDone: (track: string) => void = () => {};

/** whenUploaded is told the track of each finished upload. */
export function whenUploaded(tell: (track: string) => void): void {
  onDone = tell;
}

function change(key: string, to: Partial<Job>): void {
  jobs.value = jobs.value.map((j) => (j.key === key ? { ...j, ...to } : j));
}

const jobOf = (key: string) => jobs.value.find((j) => j.key === key);

/**
 * add queues files; one that an earlier visit began goes on where that stopped. With
 * `replaces`, a file becomes the audio of that track.
 */
export function add(files: Iterable<File>, replaces?: string): void {
  for (const file of files) {
    const begun = replaces ? undefined : jobs.value.find((j) => j.state === "interrupted" && j.name === file.name && j.size === file.size);
    if (begun) {
      const work = works.get(begun.key);
      if (work) work.file = file;
      change(begun.key, { state: "waiting" });
      continue;
    }
    const key = `job-${++lastKey}`;
    works.set(key, { file, rate: new Rate() });
    jobs.value = [...jobs.value, { key, name: file.name, size: file.size, sent: 0, rate: 0, state: "waiting", track: "", ...replacing(replaces) }];
  }
  pump();
}

/** recall lists the uploads that an earlier visit left unfinished. */
export async function recall(): Promise<void> {
  const tus = await import("tus-js-client");
  const found = (await tus.defaultOptions.urlStorage?.findAllUploads()) ?? [];
  for (const previous of found) {
    const known = [...works.values()].some((w) => w.previous?.urlStorageKey === previous.urlStorageKey || w.upload?.url === previous.uploadUrl);
    if (known || !previous.uploadUrl) continue;
    const key = `job-${++lastKey}`;
    works.set(key, { previous, rate: new Rate() });
    const name = previous.metadata.filename ?? "A file";
    jobs.value = [...jobs.value, { key, name, size: previous.size ?? 0, sent: 0, rate: 0, state: "interrupted", track: "", ...replacing(previous.metadata.replaces) }];
  }
}

/** pump gives free lanes to waiting jobs, oldest first. */
function pump(): void {
  const busy = jobs.value.filter((j) => j.state === "sending" || j.state === "finishing").length;
  for (const job of jobs.value.filter((j) => j.state === "waiting").slice(0, Math.max(0, lanes - busy))) {
    change(job.key, { state: "sending" });
    void send(job.key);
  }
}

async function send(key: string): Promise<void> {
  const work = works.get(key);
  if (!work?.file) return;
  try {
    // A stored address is forgotten at the first 4xx (TUS-7), so ask who we are first.
    await api.me();
    work.upload ??= await prepare(key, work.file, work);
  } catch (err) {
    fail(key, err);
    return;
  }
  if (jobOf(key)?.state !== "sending") return; // paused or cancelled meanwhile.
  work.rate.start(jobOf(key)?.sent ?? 0, performance.now());
  work.upload.start();
}

async function prepare(key: string, file: File, work: Work): Promise<Upload> {
  const tus = await import("tus-js-client");
  const upload = new tus.Upload(file, {
    endpoint,
    chunkSize: chunk,
    retryDelays,
    metadata: metadataOf(file, jobOf(key)?.replaces),
    removeFingerprintOnSuccess: true,
    onShouldRetry: (err) => worthRetrying(err),
    onAfterResponse: (_req, res) => {
      const track = res.getHeader("Melodyud-Track");
      if (track) change(key, { track });
    },
    onProgress: (sent, total) => {
      const state = jobOf(key)?.state;
      if (state !== "sending" && state !== "finishing") return;
      change(key, { sent, rate: work.rate.note(sent, performance.now()), state: sent >= total ? "finishing" : "sending" });
    },
    onError: (err) => fail(key, err),
    onSuccess: () => void arrive(key, upload.url ?? ""),
  });
  const previous = work.previous ?? (await upload.findPreviousUploads()).find((p) => p.metadata.replaces === jobOf(key)?.replaces);
  if (previous) upload.resumeFromPreviousUpload(previous);
  return upload;
}

/** worthRetrying: broken connections, a busy or restarting server, a lock another request holds. */
function worthRetrying(err: Error | DetailedError): boolean {
  const status = "originalResponse" in err ? err.originalResponse?.getStatus() ?? 0 : 0;
  return status === 0 || status === 409 || status === 423 || status === 429 || status >= 500;
}

const replacing = (track: string | undefined) => (track ? { replaces: track } : {});

function metadataOf(file: File, replaces?: string): Record<string, string> {
  return { filename: file.name, filetype: file.type, ...replacing(replaces) };
}

/** Seconds between looks at an upload that the server is still taking in. */
const looks = [0, 0.5, 1, 2, 4, 8, 15, 30];

/** arrive asks what became of an upload whose bytes are all there. */
async function arrive(key: string, url: string): Promise<void> {
  for (const pause of looks) {
    if (pause > 0) await new Promise((done) => setTimeout(done, pause * 1000));
    const view = url ? await api.upload(url).catch(() => undefined) : undefined;
    if (!view || view.state === "received") break;
    if (view.state === "refused") {
      change(key, { state: "failed", rate: 0, wrong: { text: view.refusal?.text ?? "", code: view.refusal?.code ?? "" } });
      return pump();
    }
    if (view.state === "duplicate") {
      change(key, { state: "duplicate", rate: 0, twin: view.duplicate_of ?? "" });
      return pump();
    }
  }
  succeed(key);
}

/** decide settles a duplicate. */
export async function decide(key: string, keep: "both" | "discard"): Promise<void> {
  const url = works.get(key)?.upload?.url ?? "";
  try {
    await api.decide(url, keep);
  } catch (err) {
    say(sentence(err), { tone: "bad" });
    return;
  }
  if (keep === "discard") forget(key);
  else await arrive(key, url);
}

function succeed(key: string): void {
  const job = jobOf(key);
  change(key, { state: "done", sent: job?.size ?? 0, rate: 0 });
  works.delete(key);
  if (job) onDone(job.track);
  pump();
}

function fail(key: string, err: unknown): void {
  const known = uploadError(err);
  change(key, { state: "failed", rate: 0, wrong: { text: sentence(known), code: known.code } });
  pump();
}

function uploadError(err: unknown): ApiError {
  if (err instanceof ApiError) return err;
  const answer = err instanceof Error && "originalResponse" in err ? (err as DetailedError).originalResponse : null;
  if (answer) return problemToError(answer.getStatus(), answer.getBody());
  return new ApiError(0, "network.unreachable", "The connection broke. What was sent is kept; try again to go on from there.");
}

/** pause keeps what was sent. */
export async function pause(key: string): Promise<void> {
  change(key, { state: "paused", rate: 0 });
  await works.get(key)?.upload?.abort();
  pump();
}

/** resume goes on after pause, or tries again after a failure. */
export function resume(key: string): void {
  const { wrong: _, ...job } = jobOf(key) ?? {};
  jobs.value = jobs.value.map((j) => (j.key === key ? { ...(job as Job), state: "waiting" } : j));
  pump();
}

/** cancel forgets the file here and on the server. */
export async function cancel(key: string): Promise<void> {
  const work = works.get(key);
  forget(key);
  const tus = await import("tus-js-client");
  try {
    if (work?.upload) await work.upload.abort(true);
    else if (work?.previous?.uploadUrl) await tus.Upload.terminate(work.previous.uploadUrl, { retryDelays });
  } catch {
    // The server lets unfinished uploads expire by itself.
  }
  if (work?.previous) await tus.defaultOptions.urlStorage?.removeUpload(work.previous.urlStorageKey);
}

/** forget takes a job off the list. */
export function forget(key: string): void {
  works.delete(key);
  jobs.value = jobs.value.filter((j) => j.key !== key);
  pump();
}

/** underWay reports whether leaving the page would stop a transfer. */
export function underWay(): boolean {
  return jobs.value.some((j) => j.state === "sending" || j.state === "finishing" || j.state === "waiting");
}

addEventListener("online", () => {
  for (const j of jobs.value) if (j.state === "failed" && j.wrong?.code === "network.unreachable") resume(j.key);
});

addEventListener("beforeunload", (e) => {
  if (underWay()) e.preventDefault();
});
