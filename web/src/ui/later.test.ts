import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { hold, later, release } from "./later";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  release();
  vi.useRealTimers();
});

const done = () => Promise.resolve();

test("what comes later runs when all else in its task is done", async () => {
  const run = vi.fn();
  later(run);
  expect(run).not.toHaveBeenCalled();
  await done();
  expect(run).toHaveBeenCalledOnce();
});

test("what is held waits for the release, and is run once", async () => {
  const run = vi.fn();
  later(run);
  hold();
  later(run);
  await done();
  vi.advanceTimersByTime(50);
  expect(run).not.toHaveBeenCalled();
  release();
  expect(run).toHaveBeenCalledOnce();
  later(run);
  await done();
  expect(run).toHaveBeenCalledTimes(2);
});

test("a press is seen within a tenth of a second, heard or not", async () => {
  const run = vi.fn();
  hold();
  later(run);
  await done();
  vi.advanceTimersByTime(99);
  expect(run).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(run).toHaveBeenCalledOnce();
});
