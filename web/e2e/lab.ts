import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

// A page of its own for players that others have written, in any browser: it runs
// one function with one argument and tells what it returned.

const modules = new URL("../node_modules/", import.meta.url).pathname;

/** The players as they are published, each a global of its script. */
export const scripts = {
  hls: "hls.js/dist/hls.min.js",
  shaka: "shaka-player/dist/shaka-player.compiled.js",
  dash: "dashjs/dist/modern/umd/dash.all.min.js",
};

export interface Lab {
  /** page returns an address that runs `run(job)` with the scripts of node_modules loaded. */
  page<J, R>(load: string[], run: (job: J) => Promise<R>, job: J, more?: string): { url: string; result: Promise<R> };
  close(): Promise<void>;
}

export async function startLab(): Promise<Lab> {
  const pages = new Map<string, { html: string; told: (result: unknown) => void; failed: (err: Error) => void }>();
  const server = createServer((req, res) => {
    const path = new URL(req.url ?? "/", "http://lab").pathname;
    const page = pages.get(path.split("/")[2] ?? "");
    if (path.startsWith("/lib/")) {
      void readFile(join(modules, path.slice(5))).then(
        (b) => res.writeHead(200, { "Content-Type": "text/javascript" }).end(b),
        () => res.writeHead(404).end(),
      );
    } else if (!page) res.writeHead(404).end();
    else if (req.method === "POST") {
      void read(req).then((text) => {
        const { result, error } = JSON.parse(text) as { result: unknown; error?: string };
        if (error) page.failed(new Error(error));
        else page.told(result);
        res.writeHead(204).end();
      });
    } else res.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(page.html);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let count = 0;
  return {
    page: <J, R>(load: string[], run: (job: J) => Promise<R>, job: J, more = "") => {
      const id = String(++count);
      const html = `<!doctype html><meta charset="utf-8"><title>lab</title><body>${load.map((s) => `<script src="/lib/${s}"></script>`).join("")}
<script type="module">${more}
const tell = (what) => fetch("/page/${id}", { method: "POST", body: JSON.stringify(what) });
(${run.toString()})(${JSON.stringify(job)}).then((result) => tell({ result }), (err) => tell({ error: String(err && err.stack || err) }));</script>`;
      const result = new Promise<R>((told, failed) => pages.set(id, { html, told: told as (r: unknown) => void, failed }));
      result.catch(() => undefined); // whoever awaits it hears of it.
      return { url: `${base}/page/${id}`, result };
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

async function read(req: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of req as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString();
}

/** firefox is the browser's program, or undefined where it is not installed. */
export const firefox = [process.env.FIREFOX ?? "/usr/bin/firefox-esr", "/usr/bin/firefox"].find((p) => existsSync(p));

/** withFirefox opens an address in a profile of its own until use is done. */
export async function withFirefox<R>(url: string, use: () => Promise<R>): Promise<R> {
  const profile = await mkdtemp(join(tmpdir(), "melodyud-firefox-"));
  const prefs: Record<string, unknown> = {
    "media.autoplay.default": 0, "media.autoplay.blocking_policy": 0, "datareporting.policy.dataSubmissionEnabled": false,
    "browser.shell.checkDefaultBrowser": false, "app.update.disabledForTesting": true, "toolkit.startup.max_resumed_crashes": -1,
  };
  await writeFile(join(profile, "user.js"), Object.entries(prefs).map(([k, v]) => `user_pref(${JSON.stringify(k)}, ${JSON.stringify(v)});`).join("\n"));
  const child = spawn(firefox ?? "firefox", ["--headless", "--no-remote", "--profile", profile, url], { stdio: "ignore", env: { ...process.env, HOME: profile } });
  const gone = new Promise<void>((done) => child.once("exit", () => done()));
  try {
    return await Promise.race([use(), gone.then(() => Promise.reject(new Error("Firefox ended by itself")))]);
  } finally {
    child.kill();
    await gone;
    await rm(profile, { recursive: true, force: true });
  }
}
