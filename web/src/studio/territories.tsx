import { useEffect, useState } from "preact/hooks";
import { api, sentence } from "../api/client";
import type { Territories as Rule, Track } from "../api/types";
import { announce, say } from "../ui/say";

type Kind = "everywhere" | "only" | "except";

/** Territories is where a creator chooses the countries a track may be heard in. */
export function Territories({ track }: { track: Track }) {
  const [rule, setRule] = useState<Rule>();
  const [kind, setKind] = useState<Kind>("everywhere");
  const [codes, setCodes] = useState("");
  const [busy, setBusy] = useState(false);
  const show = (r: Rule) => {
    setRule(r);
    setKind(r.only ? "only" : r.except ? "except" : "everywhere");
    setCodes((r.only ?? r.except ?? []).join(", "));
  };
  useEffect(() => {
    let wanted = true;
    api.territories(track.id).then((r) => wanted && show(r), () => undefined);
    return () => {
      wanted = false;
    };
  }, [track.id]);
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    try {
      show(await api.setTerritories(track.id, kind === "everywhere" ? {} : { [kind]: codesOf(codes) }));
      announce("Saved. It holds for those who are listening, too.");
    } catch (err) {
      say(sentence(err), { tone: "bad" });
    }
    setBusy(false);
  };
  if (!rule) return null;
  return (
    <form class="card edit" onSubmit={submit} aria-label="Where it may be heard">
      <h2>Countries</h2>
      <label class="field">
        <span>May be heard</span>
        <select value={kind} onChange={(e) => setKind(e.currentTarget.value as Kind)}>
          <option value="everywhere">everywhere</option>
          <option value="only">only in</option>
          <option value="except">everywhere but in</option>
        </select>
      </label>
      {kind !== "everywhere" && (
        <label class="field">
          <span>Countries, by two letters</span>
          <input required placeholder="DE, FR, GB" value={codes} onInput={(e) => setCodes(e.currentTarget.value)} />
        </label>
      )}
      {kind !== "everywhere" && !rule.countries_known && (
        <p class="soft">
          This server cannot tell where listeners are: {kind === "only" ? "nobody but you will hear the track" : "everybody will hear the track"}.
        </p>
      )}
      <button type="submit" class="button primary" disabled={busy}>{busy ? "Saving…" : "Save"}</button>
    </form>
  );
}

/** codesOf reads codes that people write with commas, spaces or both. */
export function codesOf(text: string): string[] {
  return text.split(/[\s,;]+/).filter((c) => c !== "").map((c) => c.toUpperCase());
}
