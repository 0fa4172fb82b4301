/** absolute writes an address in full. */
export function absolute(url: string, base: string = location.href): string {
  return new URL(url, base).href;
}

/** rebased gives an address another beginning; one that begins otherwise stays as it is. */
export function rebased(url: string, from: string, to: string): string {
  return url.startsWith(from) ? to + url.slice(from.length) : url;
}
