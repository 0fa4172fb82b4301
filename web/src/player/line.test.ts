import { beforeEach, expect, test, vi } from "vitest";
import type { Track } from "../api/types";

const stored = new Map<string, string>();
vi.stubGlobal("localStorage", { getItem: (k: string) => stored.get(k) ?? null, setItem: (k: string, v: string) => void stored.set(k, v) });

const track = (id: string) => ({ id, title: id }) as Track;
const fresh = async () => {
  vi.resetModules();
  return import("./line");
};

beforeEach(() => stored.clear());

test("tracks are lined up in front and behind, moved and taken out", async () => {
  const l = await fresh();
  const ids = () => l.line.value.map((t) => t.id).join("");
  l.addLast(track("a"));
  l.addLast(track("b"));
  l.addNext(track("c"));
  expect(ids()).toBe("cab");
  l.move(0, 2);
  expect(ids()).toBe("abc");
  l.move(2, 1);
  expect(ids()).toBe("acb");
  for (const [from, to] of [[0, -1], [0, 3], [9, 0]] as const) l.move(from, to);
  expect(ids()).toBe("acb");
  expect(l.remove(1)?.id).toBe("c");
  expect(l.remove(7)).toBeUndefined();
  expect(ids()).toBe("ab");
});

test("the line outlives the page, and nonsense in storage does no harm", async () => {
  const l = await fresh();
  l.addLast(track("a"));
  expect((await fresh()).line.value.map((t) => t.id)).toEqual(["a"]);
  for (const odd of ["{", "7", '[1,null,{"id":4}]']) {
    stored.set("melodyud.line", odd);
    expect((await fresh()).line.value).toEqual([]);
  }
});

test("the line has an end", async () => {
  const l = await fresh();
  for (let i = 0; i < 210; i++) l.addLast(track(String(i)));
  expect(l.line.value.length).toBe(200);
});
