import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Renewing, type Ticket } from "./ticket";

const minute = 60_000;
let renewals: string[];
let working: boolean;

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  renewals = [];
  working = true;
  vi.stubGlobal("fetch", async (_to: string, init: RequestInit) => {
    const { url } = JSON.parse(String(init.body)) as { url: string };
    renewals.push(url);
    if (!working) return new Response("{}", { status: 503 });
    const n = renewals.length;
    const at = (m: number) => new Date(Date.now() + m * minute).toISOString();
    return Response.json({ was: url.slice(0, 5), base: `/p/${n}/`, expires: at(60), renew: at(50) });
  });
});

afterEach(() => {
  vi.useRealTimers();
});

const ticket = (): Ticket => ({ url: "/p/0/trk/index.m3u8", hifi: "/p/0/trk/hifi.m3u8", renew: 50 * minute, expires: 60 * minute, session: "ses_1" });

test("a ticket is renewed before its end, again and again, and its addresses with it", async () => {
  const moves: string[] = [];
  const t = ticket();
  new Renewing((from, to) => moves.push(from + to)).follow(t);
  await vi.advanceTimersByTimeAsync(49 * minute);
  expect(renewals).toEqual([]);
  await vi.advanceTimersByTimeAsync(52 * minute);
  expect(renewals).toEqual(["/p/0/trk/index.m3u8", "/p/1/trk/index.m3u8"]);
  expect(moves).toEqual(["/p/0//p/1/", "/p/1//p/2/"]);
  expect(t).toMatchObject({ url: "/p/2/trk/index.m3u8", hifi: "/p/2/trk/hifi.m3u8", session: "ses_1" });
});

test("a renewal that fails is tried again, and none goes on for a ticket that is done with", async () => {
  const r = new Renewing(() => undefined);
  working = false;
  r.follow(ticket());
  await vi.advanceTimersByTimeAsync(51 * minute);
  expect(renewals.length).toBe(3);
  r.stop();
  expect(await r.now()).toBe(false);
  await vi.advanceTimersByTimeAsync(60 * minute);
  expect(renewals.length).toBe(3);
});
