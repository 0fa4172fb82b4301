export interface FlacFormat {
  /** Bits per sample. */
  bits: number;
  /** Hz. */
  rate: number;
  channels: number;
}

/**
 * findFlac reads the STREAMINFO inside the dfLa box of an MP4 init segment
 * ("Encapsulation of FLAC in ISO Base Media File Format", 3.3.2; RFC 9639, 8.2).
 * It returns undefined when there is none or it makes no sense.
 */
export function findFlac(init: Uint8Array): FlacFormat | undefined {
  for (let i = 0; i + 4 + 4 + 4 + 18 <= init.length; i++) {
    if (init[i] !== 0x64 || init[i + 1] !== 0x66 || init[i + 2] !== 0x4c || init[i + 3] !== 0x61) continue;
    // "dfLa", version and flags, then the block header: type 0 is STREAMINFO.
    if (((init[i + 8] ?? 0xff) & 0x7f) !== 0) continue;
    const f = streamInfo(init.subarray(i + 12));
    if (f) return f;
  }
  return undefined;
}

function streamInfo(b: Uint8Array): FlacFormat | undefined {
  const at = (i: number) => b[i] ?? 0;
  // Block sizes (2+2 bytes) and frame sizes (3+3) come first, then 20+3+5 bits.
  const rate = (at(10) << 12) | (at(11) << 4) | (at(12) >> 4);
  const channels = ((at(12) >> 1) & 7) + 1;
  const bits = (((at(12) & 1) << 4) | (at(13) >> 4)) + 1;
  return rate >= 1000 && rate <= 655_350 && bits >= 4 ? { bits, rate, channels } : undefined;
}
