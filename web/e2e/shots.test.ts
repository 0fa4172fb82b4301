import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { press, songs } from "./album";
import { desktop, launch, phone, reached, visit } from "./browser";
import { startReal } from "./server";
import { wav } from "./sound";

// Draws the pictures of the documentation from the real thing:
// MELODYUD_SHOTS=docs/img npm run e2e shots.

const target = process.env.MELODYUD_SHOTS ?? "";
const quarter = 900_000;
/** Longer than the page's slowest transition. */
const settling = 700;

test.skipIf(!target)("the pictures of the documentation", { timeout: quarter }, async () => {
  const out = target.startsWith("/") ? target : new URL(`../../${target}`, import.meta.url).pathname;
  await mkdir(out, { recursive: true });
  const dir = await mkdtemp(join(tmpdir(), "melodyud-shots-"));
  const browser = await launch();
  const server = await startReal();
  try {
    const { page, context } = await visit(browser, server.signIn, { viewport: desktop, colorScheme: "light" });
    await page.goto(`${server.url}/studio`);
    await page.getByRole("heading", { name: "Drop your first tracks here" }).waitFor();
    await page.screenshot({ path: join(out, "studio-empty.png") });
    const files: string[] = [];
    for (const [i, song] of songs.entries()) files.push(await press(browser, dir, song, i));
    await page.locator("input[type=file]").setInputFiles(files);
    await page.locator("[data-state=published]").nth(songs.length - 1).waitFor({ timeout: quarter });

    await page.goto(`${server.url}/player`);
    await page.getByRole("switch", { name: "Hi-fi" }).click();
    await page.getByRole("button", { name: "Play Slow Orbit" }).click();
    await reached(page, 1);
    await page.evaluate(() => {
      const a = window.melodyud?.audio;
      if (a) a.currentTime = 97;
    });
    await reached(page, 99);
    await page.locator("[data-quality^=FLAC]").waitFor();
    await page.mouse.move(5, 400);
    await page.evaluate(() => scrollTo(0, 0));
    await page.waitForTimeout(settling);
    await page.screenshot({ path: join(out, "player.png") });
    await page.emulateMedia({ colorScheme: "dark" });
    await page.waitForTimeout(settling);
    await page.screenshot({ path: join(out, "player-dark.png") });
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize(phone);
    await page.waitForTimeout(settling);
    await page.screenshot({ path: join(out, "player-phone.png") });
    await page.setViewportSize(desktop);

    await page.getByRole("link", { name: "Studio" }).click();
    const notes = join(dir, "liner notes.wav");
    await writeFile(notes, "Not music at all.\n".repeat(99));
    const take = join(dir, "Tidal Study No. 4.wav");
    await writeFile(take, wav(180, 9));
    const raw = join(dir, "Live at the Boathouse.wav");
    await writeFile(raw, wav(300, 4));
    await page.locator("input[type=file]").setInputFiles([notes]);
    await page.locator(".wrong code").waitFor();
    await page.locator("input[type=file]").setInputFiles([take]);
    await page.getByText(/Encoding every quality [2-8]\d/).waitFor({ timeout: 120_000 });
    const wire = await context.newCDPSession(page);
    await wire.send("Network.emulateNetworkConditions", { offline: false, latency: 5, downloadThroughput: -1, uploadThroughput: 3_000_000 });
    await page.locator("input[type=file]").setInputFiles([raw]);
    await page.getByText(/Uploading [3-6]\d/).waitFor();
    await page.evaluate(() => scrollTo(0, 0));
    await page.screenshot({ path: join(out, "studio.png") });
    await page.setViewportSize(phone);
    await page.waitForTimeout(settling);
    await page.screenshot({ path: join(out, "studio-phone.png") });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(phone.width);
  } finally {
    await browser.close();
    await server.close();
    await rm(dir, { recursive: true, force: true });
  }
});
