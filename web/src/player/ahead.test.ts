import { expect, test } from "vitest";
import { Ahead } from "./ahead";

function counted(fail: string[] = []) {
  const asked: string[] = [];
  const clock = { now: 0 };
  const ahead = new Ahead(async (key) => {
    asked.push(key);
    if (fail.includes(key)) throw new Error(key);
    return `${key}${asked.length}`;
  }, { most: 2, fresh: 1000, now: () => clock.now });
  return { ahead, asked, clock };
}

test("an answer asked for ahead is given away once, and asked for once", async () => {
  const { ahead, asked } = counted();
  ahead.want("a");
  ahead.want("a");
  expect(await ahead.take("a")).toBe("a1");
  expect(await ahead.take("a")).toBe("a2");
  expect(asked).toEqual(["a", "a"]);
});

test("few answers are kept, and not for long", async () => {
  const { ahead, asked, clock } = counted();
  for (const key of ["a", "b", "c"]) ahead.want(key);
  expect(await ahead.take("a")).toBe("a4");
  clock.now = 1001;
  expect(await ahead.take("b")).toBe("b5");
  ahead.want("c");
  expect(asked.length).toBe(6);
});

test("a failure ahead is tried again when it matters, and told only then", async () => {
  const fail = ["a"];
  const { ahead, asked } = counted(fail);
  ahead.want("a");
  await Promise.resolve();
  await expect(ahead.take("a")).rejects.toThrow("a");
  fail.length = 0;
  expect(await ahead.take("a")).toBe("a3");
  expect(asked.length).toBe(3);
});

test("nothing is kept that was to be forgotten", async () => {
  const { ahead, asked } = counted();
  ahead.want("a");
  ahead.forget();
  await ahead.take("a");
  expect(asked.length).toBe(2);
});
