// What the listener chose last, kept in this browser only.

const prefix = "melodyud.";

/** remembered reads a number; storage that is blocked or odd gives the default. */
export function remembered(name: string, otherwise: number): number {
  try {
    const raw = localStorage.getItem(prefix + name);
    const n = raw === null ? Number.NaN : Number(raw);
    return Number.isFinite(n) ? n : otherwise;
  } catch {
    return otherwise;
  }
}

export function remember(name: string, value: number): void {
  try {
    localStorage.setItem(prefix + name, String(value));
  } catch {
    // Private windows may forbid it; then it is forgotten with the page.
  }
}

/** device names this browser among those of the account, by a word that says nothing else. */
export function device(): string {
  try {
    const known = localStorage.getItem(prefix + "device");
    if (known && /^[\w-]{1,64}$/.test(known)) return known;
    const made = `web-${Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join("")}`;
    localStorage.setItem(prefix + "device", made);
    return made;
  } catch {
    return "web";
  }
}
