/**
 * peaksOf reads waveform.dat (the audiowaveform format, versions 1 and 2) into
 * `bars` loudness peaks of 0..1, or undefined when the bytes are something else.
 */
export function peaksOf(data: ArrayBuffer, bars: number): number[] | undefined {
  const view = new DataView(data);
  if (data.byteLength < 20) return undefined;
  const version = view.getInt32(0, true);
  const small = (view.getUint32(4, true) & 1) === 1;
  const length = view.getUint32(16, true);
  if ((version !== 1 && version !== 2) || length === 0) return undefined;
  const channels = version === 2 && data.byteLength >= 24 ? Math.max(1, view.getInt32(20, true)) : 1;
  const start = version === 2 ? 24 : 20;
  const width = small ? 1 : 2;
  const pairs = length * channels;
  if (start + pairs * 2 * width > data.byteLength) return undefined;

  const full = small ? 128 : 32_768;
  const value = (i: number) => Math.abs(small ? view.getInt8(start + i) : view.getInt16(start + i * 2, true)) / full;
  const peaks = Array.from({ length: bars }, (_, bar) => {
    const from = Math.floor((bar * length) / bars) * channels * 2;
    const to = Math.max(from + 2, Math.floor(((bar + 1) * length) / bars) * channels * 2);
    let top = 0;
    for (let i = from; i < to && i < pairs * 2; i++) top = Math.max(top, value(i));
    return top;
  });
  return level(peaks);
}

/** level stretches quiet music to the height of the picture; silence stays silent. */
function level(peaks: number[]): number[] {
  const top = Math.max(...peaks);
  return top > 0.01 ? peaks.map((p) => Math.min(1, p / top)) : peaks;
}
