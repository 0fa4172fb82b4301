/** clock writes seconds as 3:07 or 1:02:45; unknown as –:––. */
export function clock(seconds: number | undefined): string {
  if (seconds === undefined || !Number.isFinite(seconds) || seconds < 0) return "–:––";
  const whole = Math.floor(seconds);
  const h = Math.floor(whole / 3600);
  const m = Math.floor((whole % 3600) / 60);
  const s = String(whole % 60).padStart(2, "0");
  return h > 0 ? `${h}:${String(m).padStart(2, "0")}:${s}` : `${m}:${s}`;
}

/** lengthOf writes how long a track is, rounded as players do. */
export function lengthOf(t: { release?: { duration_seconds: number } | null }): string {
  return clock(t.release ? Math.round(t.release.duration_seconds) : undefined);
}

/** spoken writes seconds for a screen reader: "3 minutes 7 seconds". */
export function spoken(seconds: number): string {
  if (!Number.isFinite(seconds)) return "unknown";
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [count(Math.floor(whole / 3600), "hour"), count(Math.floor((whole % 3600) / 60), "minute"), count(whole % 60, "second")];
  return parts.filter((p) => !p.startsWith("0 ")).join(" ") || "0 seconds";
}

/** count writes "1 track", "3 tracks". */
export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

/** bytes writes a size in decimal units, as file managers do: 43.2 MB. */
export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = n;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** remaining writes how long something still takes, coarsely enough not to flicker. */
export function remaining(seconds: number): string {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 5) return "a few seconds left";
  if (seconds < 55) return `${Math.ceil(seconds / 5) * 5} s left`;
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min left`;
  return `${Math.ceil(seconds / 3600)} h left`;
}

/** day writes a date as 21 Nov 2026 in the reader's own manner. */
export function day(iso: string): string {
  const t = new Date(iso);
  return Number.isNaN(t.getTime()) ? "" : t.toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}

/** timeOfDay writes 14:05 in the reader's own manner. */
export function timeOfDay(iso: string): string {
  const t = new Date(iso);
  return Number.isNaN(t.getTime()) ? "" : t.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
}

/** nameOf is what a track is called: its title, or the file's name without its ending. */
export function nameOf(t: { title: string; file_name?: string }): string {
  return t.title || t.file_name?.replace(/\.[^.]{1,5}$/, "") || "Untitled";
}
