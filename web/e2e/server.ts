import { execFile, spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** The binary that `make build` leaves; MELODYUD_BIN names another. */
export const binary = process.env.MELODYUD_BIN ?? new URL("../../bin/melodyud", import.meta.url).pathname;

export interface Real {
  url: string;
  /** Opening it signs the browser in. */
  signIn: string;
  /** ask calls the API with the local key and returns its JSON. */
  ask(method: string, path: string, body?: unknown): Promise<unknown>;
  /** For the command line. */
  key: string;
  close(): Promise<void>;
}

/** startReal runs a whole server on a fresh directory and a free port. */
export async function startReal(flags: string[] = []): Promise<Real> {
  if (!existsSync(binary)) throw new Error(`${binary} is missing: run make build`);
  const data = await mkdtemp(join(tmpdir(), "melodyud-real-"));
  const child = spawn(binary, ["serve", "--data", data, "--addr", "127.0.0.1:0", ...flags], { stdio: ["ignore", "pipe", "pipe"] });
  const signIn = await linkOf(child);
  const url = new URL(signIn).origin;
  const key = new URL(signIn).searchParams.get("key") ?? "";
  return {
    url,
    signIn,
    key,
    ask: async (method, path, body) => {
      const headers = { Authorization: `Bearer ${key}`, ...(body === undefined ? {} : { "Content-Type": "application/json" }) };
      const answer = await fetch(url + path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
      return answer.json();
    },
    close: async () => {
      const gone = new Promise((done) => child.once("exit", done));
      child.kill("SIGTERM");
      await gone;
      await rm(data, { recursive: true, force: true });
    },
  };
}

/** upload sends files with the command line, waits until they play, and returns their tracks' ids. */
export async function upload(server: Real, ...files: string[]): Promise<string[]> {
  const { stdout } = await promisify(execFile)(binary, ["upload", "--server", server.url, "--key", server.key, "--wait", ...files]);
  return [...stdout.matchAll(/(trk_\w+) published/g)].map((m) => m[1] ?? "");
}

/** linkOf waits for the sign-in link on the server's standard output. */
function linkOf(child: ChildProcess): Promise<string> {
  return new Promise((found, lost) => {
    let out = "";
    let err = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      const link = /http:\/\/\S+\/signin\?key=\S+/.exec(out);
      if (link) found(link[0]);
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      err = (err + chunk.toString()).slice(-4000);
    });
    child.once("error", lost);
    child.once("exit", (code) => lost(new Error(`the server stopped with ${code}:\n${out}${err}`)));
  });
}
