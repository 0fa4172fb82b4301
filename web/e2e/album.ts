import { join } from "node:path";
import type { Browser } from "playwright-core";
import { flac, wav } from "./sound";

export interface Song {
  title: string;
  artist: string;
  album: string;
  seconds: number;
  art: string;
}

const square = (inside: string) => `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 600" width="600" height="600">${inside}</svg>`;

const lines = (n: number, draw: (i: number) => string) => Array.from({ length: n }, (_, i) => draw(i)).join("");

/** Invented songs with covers drawn here, so that every picture of the page is ours. */
export const songs: Song[] = [
  {
    title: "Harbour Lights", artist: "Mira Solberg", album: "North of Here", seconds: 154,
    art: square(`<defs><linearGradient id="g" x2="0" y2="1"><stop stop-color="#16283f"/><stop offset=".55" stop-color="#c4614a"/><stop offset=".56" stop-color="#10202f"/><stop offset="1" stop-color="#0a1520"/></linearGradient></defs><rect width="600" height="600" fill="url(#g)"/><circle cx="395" cy="262" r="74" fill="#f6cf9b"/>${lines(9, (i) => `<rect x="${395 - 66 + i * 5 + (i % 3) * 8}" y="${352 + i * 22}" width="${120 - i * 11}" height="5" rx="2.5" fill="#f6cf9b" opacity="${0.75 - i * 0.07}"/>`)}`),
  },
  {
    title: "Paper Lanterns", artist: "Ono & the Tides", album: "Low Weather", seconds: 127,
    art: square(`<rect width="600" height="600" fill="#efe6d8"/>${lines(5, (i) => `<g transform="translate(${90 + i * 105} ${130 + ((i * 137) % 250)})"><ellipse rx="44" ry="54" fill="${["#d9583b", "#e8a13a", "#2f5d62", "#d9583b", "#8c3b3b"][i]}"/><path d="M0 -54V-400" stroke="#3a322b" stroke-width="2.500"/>${lines(4, (k) => `<path d="M-44 0a44 ${12 + k * 14} 0 0 0 88 0" fill="none" stroke="#efe6d8" stroke-opacity=".45" stroke-width="2"/>`)}</g>`)}`),
  },
  {
    title: "Slow Orbit", artist: "Kepler Choir", album: "Perihelion", seconds: 201,
    art: square(`<rect width="600" height="600" fill="#101322"/>${lines(7, (i) => `<ellipse cx="300" cy="300" rx="${70 + i * 42}" ry="${28 + i * 30}" transform="rotate(${-28 + i * 5} 300 300)" fill="none" stroke="#9fb4ff" stroke-opacity="${0.75 - i * 0.08}" stroke-width="2.5"/>`)}<circle cx="300" cy="300" r="42" fill="#ffd98a"/><circle cx="478" cy="198" r="15" fill="#e9edff"/>`),
  },
  {
    title: "Night Bus, Window Seat", artist: "Juno Ferrell", album: "Commuter", seconds: 172,
    art: square(`<rect width="600" height="600" fill="#1d2b2f"/>${lines(26, (i) => `<rect x="${(i * 97) % 600}" y="${(i * 151) % 520}" width="${10 + ((i * 7) % 22)}" height="${60 + ((i * 31) % 140)}" rx="6" fill="${["#f2b84b", "#e4684f", "#6fb7b0", "#f4e9cf"][i % 4]}" opacity="${0.25 + ((i * 13) % 60) / 100}"/>`)}<rect x="0" y="470" width="600" height="130" fill="#12191c" opacity=".85"/>`),
  },
  {
    title: "Glasshouse", artist: "Tall Ferns", album: "Glasshouse", seconds: 115,
    art: square(`<rect width="600" height="600" fill="#dfe9dd"/>${lines(13, (i) => `<path d="M300 620C${300 + (i - 6) * 14} 420 ${300 + (i - 6) * 60} 300 ${300 + (i - 6) * 92} ${110 + Math.abs(i - 6) * 42}" fill="none" stroke="${["#2d5a3d", "#4b7f52", "#86a873"][i % 3]}" stroke-width="${22 - Math.abs(i - 6) * 2}" stroke-linecap="round"/>`)}`),
  },
  {
    title: "Saltwater Psalm", artist: "Mira Solberg", album: "North of Here", seconds: 176,
    art: square(`<rect width="600" height="600" fill="#bcd3d8"/>${lines(9, (i) => `<path d="M-20 ${170 + i * 52}q80 ${-46 + i * 4} 160 0t160 0t160 0t160 0V620H-20z" fill="hsl(${196 + i * 3} ${34 + i * 3}% ${66 - i * 6}%)"/>`)}<circle cx="160" cy="110" r="48" fill="#f7f3e8"/>`),
  },
];

/** press makes a song's file: FLAC with tags and its cover. */
export async function press(browser: Browser, dir: string, song: Song, n: number, seconds = song.seconds): Promise<string> {
  const page = await browser.newPage({ viewport: { width: 600, height: 600 } });
  await page.setContent(`<style>body{margin:0}svg{display:block}</style>${song.art}`);
  const cover = join(dir, `cover-${n}.png`);
  await page.screenshot({ path: cover });
  await page.close();
  const file = join(dir, `${String(n + 1).padStart(2, "0")} ${song.title.replace(/[^\w ]/g, "")}.flac`);
  await flac(file, wav(seconds, n + 1), { title: song.title, artist: song.artist, album: song.album }, cover);
  return file;
}
