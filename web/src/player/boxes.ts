// What reading the boxes of MP4 files takes, wherever they are read.

/** u32 reads a number; beyond the end there are zeros. */
export function u32(b: Uint8Array, at: number): number {
  return at + 4 <= b.length ? new DataView(b.buffer, b.byteOffset + at, 4).getUint32(0) : 0;
}

/** kindAt reads the four letters of a box. */
export function kindAt(b: Uint8Array, at: number): string {
  return String.fromCharCode(...b.subarray(at, at + 4));
}

/** readTime reads the decode time in the body of a tfdt; undefined where it is too short for one. */
export function readTime(body: Uint8Array): number | undefined {
  const long = body[0] === 1;
  if (body.length < (long ? 12 : 8)) return undefined;
  return long ? u32(body, 4) * 2 ** 32 + u32(body, 8) : u32(body, 4);
}
