/**
 * Output sets how loud an audio element is. Up to its full volume that is the
 * element's own affair, and no sample is touched; beyond it the sound goes through a
 * graph, which is only made once it is needed and then stays.
 */
export class Output {
  #audio: HTMLAudioElement;
  #gain: GainNode | undefined;
  /** Of the graph, made before it is needed: that alone can take longer than all else between a press and the sound. */
  #context: AudioContext | undefined;
  #tried = false;

  constructor(audio: HTMLAudioElement) {
    this.#audio = audio;
  }

  /** prepare makes what takes long; it stays silent and asks for no sound card until it is needed. */
  prepare(): void {
    try {
      this.#context ??= new AudioContext({ latencyHint: "playback" });
      if (!this.#gain) void this.#context.suspend().catch(() => undefined);
    } catch {
      // set does without.
    }
  }

  /** set takes the factor of amplitude. */
  set(factor: number): void {
    this.#audio.volume = Math.min(1, Math.max(0, factor));
    if (factor > 1 && !this.#tried) this.#gain = this.#graph();
    if (this.#gain) this.#gain.gain.value = Math.max(1, factor);
  }

  /** graph leads the element through a gain; without one it stays at full volume. */
  #graph(): GainNode | undefined {
    this.#tried = true;
    try {
      const context = (this.#context ??= new AudioContext({ latencyHint: "playback" }));
      const gain = context.createGain();
      context.createMediaElementSource(this.#audio).connect(gain).connect(context.destination);
      this.#audio.addEventListener("play", () => void context.resume());
      void context.resume();
      return gain;
    } catch {
      return undefined; // somebody else listens to the element, or there is no sound card.
    }
  }
}
