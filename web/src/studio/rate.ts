/** Rate tells how fast bytes go, smoothed over a few seconds. */
export class Rate {
  #at = 0;
  #sent = 0;
  #perSecond = 0;

  /** start begins anew at a number of bytes already there, as after a pause. */
  start(sent: number, nowMs: number): void {
    this.#at = nowMs;
    this.#sent = sent;
    this.#perSecond = 0;
  }

  /** note takes a reading and returns bytes per second; 0 while unknown. */
  note(sent: number, nowMs: number): number {
    const seconds = (nowMs - this.#at) / 1000;
    if (seconds < 0.5) return this.#perSecond;
    const now = Math.max(0, sent - this.#sent) / seconds;
    const weight = this.#perSecond === 0 ? 1 : 1 - Math.exp(-seconds / 3);
    this.#perSecond += (now - this.#perSecond) * weight;
    this.#at = nowMs;
    this.#sent = sent;
    return this.#perSecond;
  }
}
