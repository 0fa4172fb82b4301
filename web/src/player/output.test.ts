import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Output } from "./output";

class Context {
  static made: Context[] = [];
  state = "running";
  destination = {};
  gain = { gain: { value: 1 }, connect: (to: unknown) => to };
  led: unknown[] = [];
  constructor() {
    Context.made.push(this);
  }
  createGain() {
    return this.gain;
  }
  createMediaElementSource(audio: { taken?: boolean }) {
    if (audio.taken) throw new Error("somebody else listens");
    this.led.push(audio);
    return { connect: (to: unknown) => to };
  }
  async suspend() {
    this.state = "suspended";
  }
  async resume() {
    this.state = "running";
  }
}

const element = (more = {}) => ({ volume: 1, addEventListener: () => undefined, ...more }) as unknown as HTMLAudioElement;

beforeEach(() => {
  Context.made = [];
  vi.stubGlobal("AudioContext", Context);
});
afterEach(() => void vi.unstubAllGlobals());

test("up to its full volume no graph touches the sound (NORM-3)", () => {
  const audio = element();
  const output = new Output(audio);
  output.prepare();
  output.set(0.5);
  expect(audio.volume).toBe(0.5);
  expect(Context.made[0]?.led).toEqual([]);
  expect(Context.made[0]?.state).toBe("suspended");
});

test("what was prepared is what amplifies, and sounds then", () => {
  const audio = element();
  const output = new Output(audio);
  output.prepare();
  output.set(2);
  output.prepare();
  expect(Context.made.length).toBe(1);
  expect(Context.made[0]?.led).toEqual([audio]);
  expect(Context.made[0]?.gain.gain.value).toBe(2);
  expect(Context.made[0]?.state).toBe("running");
  expect(audio.volume).toBe(1);
});

test("an element that another graph has stays at full volume, and is not asked for again", () => {
  const audio = element({ taken: true });
  const output = new Output(audio);
  for (const factor of [2, 3, 2]) output.set(factor);
  expect(audio.volume).toBe(1);
  expect(Context.made.length).toBe(1);
});
