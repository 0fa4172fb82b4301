import type { Start } from "../api/types";

// What is known of addresses before they are asked for: playlists, init segments and
// the beginnings of segments that came with an answer, or that were fetched ahead.

/** File is what an address answers, or its beginning. */
export interface File {
  body: Uint8Array;
  /** Of the whole of it, in bytes. */
  size: number;
}

/** Memory holds the files of one playback. */
export class Memory {
  #files = new Map<string, File>();
  #base: string | undefined;

  /** of reads the files of an answer whose addresses lie beside url. */
  static of(url: string, files: Start["files"], base = globalThis.location?.href): Memory {
    const m = new Memory();
    m.#base = base;
    for (const f of files) {
      const body = f.text !== undefined ? new TextEncoder().encode(f.text) : bytesOf(f.data ?? "");
      m.#files.set(new URL(f.path, new URL(url, base)).href, { body, size: f.size ?? body.length });
    }
    return m;
  }

  /** get returns what is known of an address. */
  get(url: string): File | undefined {
    const bare = new URL(url, this.#base);
    bare.searchParams.delete("CMCD"); // what hls.js tells with it makes no other file of it.
    return this.#files.get(bare.href);
  }
}

function bytesOf(base64: string): Uint8Array {
  const text = atob(base64);
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}
