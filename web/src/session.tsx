import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { ApiError, api, sentence, whenSignedOut } from "./api/client";
import type { Me, Role } from "./api/types";
import { Key, Mark } from "./ui/icons";

export type Session =
  | { state: "asking" }
  | { state: "out" }
  | { state: "in"; me: Me }
  | { state: "unreachable"; text: string };

export const session = signal<Session>({ state: "asking" });

whenSignedOut(() => {
  if (session.value.state !== "out") session.value = { state: "out" };
});

/** ask finds out who is signed in. */
export async function ask(): Promise<void> {
  try {
    session.value = { state: "in", me: await api.me() };
  } catch (err) {
    if (err instanceof ApiError && err.status === 401) return; // whenSignedOut has told.
    session.value = { state: "unreachable", text: sentence(err) };
  }
}

export async function signOut(): Promise<void> {
  await api.signOut().catch(() => undefined);
  session.value = { state: "out" };
}

/** may reports whether the signed-in account has a role. */
export function may(me: Me, role: Role): boolean {
  return me.roles.includes(role);
}

/** SignIn is what a visitor without a session sees. */
export function SignIn() {
  const [key, setKey] = useState("");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");

  const submit = async (e: Event) => {
    e.preventDefault();
    const secret = keyIn(key);
    if (!secret) {
      setWrong("Paste your key first. It is the long word after key= in the sign-in link.");
      return;
    }
    setBusy(true);
    setWrong("");
    try {
      await api.signIn(secret);
      await ask();
    } catch (err) {
      setWrong(err instanceof ApiError && err.status === 401
        ? "The server does not know this key. Check that all of it was copied."
        : sentence(err));
    } finally {
      setBusy(false);
    }
  };

  return (
    <main class="gate">
      <form class="card gate-card" onSubmit={submit}>
        <span class="gate-mark"><Mark /></span>
        <h1>Welcome to MelodyUD</h1>
        <p class="soft">Open the sign-in link that the server printed when it started, or paste its key here.</p>
        <label class="field">
          <span>Your key</span>
          <input
            type="password"
            name="key"
            autocomplete="current-password"
            spellcheck={false}
            value={key}
            aria-invalid={wrong !== ""}
            aria-describedby="gate-wrong"
            onInput={(e) => setKey(e.currentTarget.value)}
          />
        </label>
        <p id="gate-wrong" class="wrong" role="alert">{wrong}</p>
        <button type="submit" class="button primary" disabled={busy}><Key />{busy ? "Signing in…" : "Sign in"}</button>
      </form>
    </main>
  );
}

/** keyIn finds the key in what was pasted: the key itself, or the whole sign-in link. */
export function keyIn(pasted: string): string {
  const text = pasted.trim();
  const at = text.indexOf("key=");
  if (at < 0) return text;
  const raw = text.slice(at + 4).split(/[&#\s]/, 1)[0] ?? "";
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}
