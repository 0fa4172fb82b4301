import { signal } from "@preact/signals";

export type Room = "studio" | "player";

interface Place {
  room: Room | "";
  /** The track a link asks to play. */
  track: string;
  /** The track whose page in the Studio is open. */
  detail: string;
}

/** placeOf reads an address of this page. */
export function placeOf(pathname: string, search: string): Place {
  const word = pathname.split("/")[1] ?? "";
  const room = word === "studio" || word === "player" ? word : "";
  const detail = room === "studio" ? decodeURIComponent(pathname.split("/")[2] ?? "") : "";
  return { room, detail, track: new URLSearchParams(search).get("track") ?? "" };
}

export const place = signal<Place>(placeOf(location.pathname, location.search));

addEventListener("popstate", () => {
  place.value = placeOf(location.pathname, location.search);
});

/** go shows another room without loading the page anew. */
export function go(path: string, how: "push" | "replace" = "push"): void {
  const url = new URL(path, location.href);
  if (how === "push") history.pushState(null, "", url);
  else history.replaceState(null, "", url);
  place.value = placeOf(url.pathname, url.search);
}

/** follow turns a click on a link into go, unless the visitor wants a new tab. */
export function follow(e: MouseEvent): void {
  const link = e.currentTarget as HTMLAnchorElement;
  if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
  e.preventDefault();
  go(link.href);
}
