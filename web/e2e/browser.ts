import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";

export const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--autoplay-policy=no-user-gesture-required",
];

export const desktop = { width: 1280, height: 800 };
export const phone = { width: 360, height: 740 };

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: flags });
}

export interface Visit {
  context: BrowserContext;
  page: Page;
  /** What the page complained about: console errors, exceptions, policy violations. */
  complaints: string[];
}

/** visit opens a page in a profile of its own and collects its complaints. */
export async function visit(browser: Browser, url: string, options: Parameters<Browser["newContext"]>[0] = {}): Promise<Visit> {
  const context = await browser.newContext({ viewport: desktop, ...options });
  context.setDefaultTimeout(30_000); // names the step that hangs, before the test as a whole gives up.
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (e) => complaints.push(String(e)));
  page.on("console", (m) => {
    // Chromium itself reports every failed request; tests look at those where they matter.
    if (m.type() === "error" && !m.text().startsWith("Failed to load resource")) complaints.push(m.text());
  });
  await page.goto(url);
  return { context, page, complaints };
}

export interface Playing {
  time: number;
  paused: boolean;
  duration: number;
  ranges: [number, number][];
}

/** playing reads the page's audio element. */
export function playing(page: Page): Promise<Playing> {
  return page.evaluate(() => {
    const a = window.melodyud?.audio;
    if (!a) throw new Error("no player in this page");
    const ranges = Array.from({ length: a.buffered.length }, (_, i): [number, number] => [a.buffered.start(i), a.buffered.end(i)]);
    return { time: a.currentTime, paused: a.paused, duration: a.duration, ranges };
  });
}

/** reached waits until the music is past a second. */
export async function reached(page: Page, second: number, timeout = 40_000): Promise<void> {
  await page.waitForFunction((s) => (window.melodyud?.audio.currentTime ?? 0) > s, second, { timeout });
}
