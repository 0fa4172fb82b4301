import { useEffect, useState } from "preact/hooks";
import { api } from "../api/client";
import type { Quota } from "../api/types";
import { sharesOf } from "./quotas";
import { jobs } from "./uploads";

/** QuotaLine says what the account uses, and of how much, where there is a limit. */
export function QuotaLine() {
  const [quota, setQuota] = useState<Quota>();
  const settled = jobs.value.filter((j) => j.state !== "sending" && j.state !== "finishing").length;
  useEffect(() => {
    let wanted = true;
    api.quota().then((q) => wanted && setQuota(q), () => undefined);
    return () => {
      wanted = false;
    };
  }, [settled, jobs.value.length]);
  if (!quota) return null;
  const shares = sharesOf(quota);
  if (shares.length === 0) return null;
  return (
    <ul class="quota" aria-label="Your quota">
      {shares.map((s) => (
        <li key={s.name} class={s.share > 0.9 ? "nearly" : ""} title={s.title}>
          <span class="quota-words numbers">{s.words}</span>
          <span class="quota-bar" aria-hidden="true"><span style={{ transform: `scaleX(${Math.min(1, s.share)})` }} /></span>
        </li>
      ))}
    </ul>
  );
}
