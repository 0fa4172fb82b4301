// What is seen gives way to what is about to be heard: drawing takes as long as
// beginning to play does, and both want the one thread.

/** What is seen within this many ms of a press counts as at once. */
const longest = 100;

const waiting = new Set<() => void>();
let held: ReturnType<typeof setTimeout> | undefined;

/** later runs when this task is done, or after the release; what already waits for that waits once. */
export function later(run: () => void): void {
  queueMicrotask(() => {
    if (held === undefined) run();
    else waiting.add(run);
  });
}

/** hold keeps what comes later waiting until release, or for this many ms. */
export function hold(most = longest): void {
  clearTimeout(held);
  held = setTimeout(release, most);
}

export function release(): void {
  clearTimeout(held);
  held = undefined;
  const ready = [...waiting];
  waiting.clear();
  for (const run of ready) run();
}

/** whenIdle runs once there is nothing to do. */
export function whenIdle(run: () => void): void {
  if ("requestIdleCallback" in globalThis) requestIdleCallback(() => run());
  else setTimeout(run, 500);
}
