/**
 * Ahead asks for what may be wanted next before it is, and keeps few answers for a
 * short while. An answer is given away once.
 */
export class Ahead<T> {
  #ask: (key: string) => Promise<T>;
  #most: number;
  #fresh: number;
  #now: () => number;
  #asked = new Map<string, { answer: Promise<T>; until: number }>();

  constructor(ask: (key: string) => Promise<T>, { most = 6, fresh = 300_000, now = () => Date.now() } = {}) {
    this.#ask = ask;
    this.#most = most;
    this.#fresh = fresh;
    this.#now = now;
  }

  /** want asks, unless that was done already. */
  want(key: string): void {
    const known = this.#asked.get(key);
    if (known && known.until > this.#now()) return;
    const answer = this.#ask(key);
    const one = { answer, until: this.#now() + this.#fresh };
    answer.catch(() => this.#asked.get(key) === one && this.#asked.delete(key)); // take asks again, and tells.
    this.#asked.delete(key);
    this.#asked.set(key, one);
    for (const oldest of this.#asked.keys()) {
      if (this.#asked.size <= this.#most) break;
      this.#asked.delete(oldest);
    }
  }

  /** take returns the answer for a key: the one that is there, or a new one. */
  take(key: string): Promise<T> {
    const known = this.#asked.get(key);
    this.#asked.delete(key);
    if (!known || known.until <= this.#now()) return this.#ask(key);
    return known.answer.catch(() => this.#ask(key));
  }

  /** forget throws all answers away. */
  forget(): void {
    this.#asked.clear();
  }
}
