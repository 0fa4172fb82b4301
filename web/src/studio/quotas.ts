import type { Quota } from "../api/types";
import { bytes } from "../ui/format";

/** Share is how much of one limit is used. */
export interface Share {
  name: string;
  words: string;
  title: string;
  share: number;
}

/** sharesOf lists what is limited. */
export function sharesOf(q: Quota): Share[] {
  const all: Share[] = [];
  const b = q.bytes;
  if (b.limit) {
    const used = b.used + b.reserved;
    all.push({ name: "bytes", words: `${bytes(used)} of ${bytes(b.limit)}`, title: "Space your files take", share: used / b.limit });
  }
  const h = q.hours;
  if (h.limit) {
    const used = h.used + h.reserved;
    all.push({ name: "hours", words: `${used.toFixed(1)} of ${h.limit} h`, title: "Hours of sound", share: used / h.limit });
  }
  const u = q.uploads_today;
  if (u.limit) all.push({ name: "uploads", words: `${u.used} of ${u.limit} uploads today`, title: "Uploads started today", share: u.used / u.limit });
  return all;
}
