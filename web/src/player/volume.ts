import { computed, effect, signal } from "@preact/signals";
import { announce } from "../ui/say";
import { factorOf, gainOf, levels, type Level } from "./loudness";
import { Output } from "./output";
import { albumLoudness, engine } from "./queue";
import { remember, remembered } from "./settings";

// How loud the music is: what the listener sets, and what evens tracks out.

export const volume = signal(Math.min(1, Math.max(0, remembered("volume", 0.8))));
export const muted = signal(remembered("muted", 0) === 1);
/** What loudness tracks are brought to. */
export const level = signal<Level>(levels[remembered("loudness", 1)] ?? "normal");
/** By how many dB the sound is changed for that; of an album that plays, all tracks alike (NORM-4). */
export const gain = computed(() => gainOf(level.value, engine.ads.on.value ? engine.ads.loudness.value : albumLoudness.value ?? engine.loudness.value));

const output = new Output(engine.audio);

// Hearing is logarithmic; a squared curve makes the slider feel even.
effect(() => output.set(volume.value ** 2 * factorOf(gain.value)));
effect(() => void (engine.audio.muted = muted.value));
// Apart from the sound: a track that starts changes the gain, and storage is not written meanwhile.
effect(() => remember("volume", volume.value));
effect(() => remember("muted", muted.value ? 1 : 0));
effect(() => remember("loudness", levels.indexOf(level.value)));

/** ready prepares for tracks that are made louder than they are. */
export function ready(): void {
  if (level.value !== "off") output.prepare();
}

export function setVolume(v: number): void {
  volume.value = Math.min(1, Math.max(0, v));
  if (volume.value > 0) muted.value = false;
}

export function toggleMute(): void {
  if (muted.value && volume.value === 0) volume.value = 0.5;
  muted.value = !muted.value;
  announce(muted.value ? "Muted." : "Sound on.");
}
