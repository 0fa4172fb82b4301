import type { Stage, Track } from "../api/types";
import type { Job } from "./uploads";

// The way of a file, as five steps a creator can follow.

export const steps = ["Upload", "Check", "Encode", "Store", "Publish"] as const;

export interface Way {
  /** 0..4: the step it is at; 5 when it is through. */
  step: number;
  /** 0..1 of that step; undefined when only time will tell. */
  fraction: number | undefined;
  words: string;
}

const stepOf: Record<Stage, number> = { queued: 1, validating: 1, rendering: 2, storing: 3, publishing: 4, done: 5, held: 1 };

const wordsOf: Record<Stage, string> = {
  queued: "Waiting its turn",
  validating: "Checking the file",
  rendering: "Encoding every quality",
  storing: "Storing",
  publishing: "Publishing",
  done: "Published",
  held: "We could not process it. It is not your file: our operators have been told and will try again.",
};

export function wayOfTrack(t: Track): Way {
  if (t.state === "published" && !t.replacing) return { step: 5, fraction: 1, words: wordsOf.done };
  const { stage, percent, attempt } = t.progress ?? { stage: "queued" as Stage, percent: 0, attempt: 1 };
  const waiting = stage === "queued" || stage === "held";
  const again = attempt > 1 && stage !== "held" ? `, attempt ${attempt}` : "";
  const share = !waiting && percent > 0 ? ` ${Math.round(percent)} %` : "";
  return { step: stepOf[stage] ?? 1, fraction: waiting ? undefined : percent / 100, words: `${wordsOf[stage] ?? "Working"}${share}${again}` };
}

export function wayOfJob(j: Job): Way {
  const fraction = j.size > 0 ? j.sent / j.size : 0;
  switch (j.state) {
    case "waiting":
      return { step: 0, fraction, words: "Waiting for its turn to upload" };
    case "sending":
      return { step: 0, fraction, words: `Uploading ${Math.floor(fraction * 100)} %` };
    case "finishing":
      return { step: 0, fraction: undefined, words: "Storing the last bytes" };
    case "done":
      return { step: 1, fraction: undefined, words: "Arrived" };
    case "paused":
      return { step: 0, fraction, words: `Paused at ${Math.floor(fraction * 100)} %` };
    case "failed":
      return { step: 0, fraction, words: "Stopped" };
    case "duplicate":
      return { step: 1, fraction: undefined, words: "You have this file already" };
    case "interrupted":
      return { step: 0, fraction, words: "Not finished in your last visit" };
  }
}
