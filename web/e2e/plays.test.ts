import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, reached, visit, type Visit } from "./browser";
import { startReal, upload, type Real } from "./server";
import { wav } from "./sound";

// What a listener hears in a browser is what the creator reads in the Studio.

let browser: Browser;
let server: Real;
let dir: string;
let here: Visit;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "melodyud-plays-"));
  browser = await launch();
  server = await startReal();
  await writeFile(join(dir, "short.wav"), wav(5, 5)); // under 30 seconds: it counts at its end.
  here = await visit(browser, server.signIn);
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
  await rm(dir, { recursive: true, force: true });
});

test("a play that was heard counts, and one that was jumped through does not", async () => {
  const [id = ""] = await upload(server, join(dir, "short.wav"));
  const { page } = here;
  await page.reload();
  const asked: string[] = [];
  page.on("request", (r) => void (/\/s\/\d+\.m4s/.test(r.url()) && asked.push(r.url())));
  // The first play is lost on an edge that is busy, but only until it is told again.
  let refused = 0;
  await page.route("**/events", (route) =>
    route.request().method() === "POST" && refused++ === 0 ? route.fulfill({ status: 503, headers: { "Retry-After": "1" } }) : route.continue());
  await page.getByRole("link", { name: "Listen" }).click();
  await page.getByRole("button", { name: /^Play short/ }).first().click();
  await page.waitForFunction(() => window.melodyud?.audio.ended);
  await page.evaluate(() => {
    const a = window.melodyud?.audio;
    if (a) Object.assign(a, { currentTime: 0 });
    return a?.play();
  });
  await reached(page, 0.5);
  await page.evaluate(() => {
    const a = window.melodyud?.audio;
    if (a) a.currentTime = a.duration - 0.3;
  });
  await page.waitForFunction(() => window.melodyud?.audio.ended);
  await page.getByRole("link", { name: "Studio" }).click();
  const row = page.locator(`[data-track=${id}]`);
  await row.locator("[data-plays='1']").waitFor();
  expect(await row.textContent()).toContain("1 play");
  await expect.poll(async () => ((await server.ask("GET", `/v1/tracks/${id}/plays`)) as { total: { completions: number } }).total.completions).toBe(2);
  const { total, days } = (await server.ask("GET", `/v1/tracks/${id}/plays`)) as { total: Record<string, number>; days: unknown[] };
  expect(total).toMatchObject({ plays: 1, listeners: 1, skips: 0 });
  expect(days.length).toBe(30);
  expect(refused).toBeGreaterThan(1);
  await row.getByRole("link", { name: /short/ }).first().click();
  await page.locator(".plays-total[data-plays='1']").waitFor();
  await page.getByRole("img", { name: /1 of them today by 1 listener/ }).waitFor();
  expect(here.complaints).toEqual([]);
  // Each segment says whose it is, but for what came with the ticket.
  expect(asked.length).toBeGreaterThan(0);
  for (const url of asked) expect(new URL(url).searchParams.get("CMCD")).toMatch(/sid="[0-9a-z]+"/);
});
