import { build } from "vite";

/** bundle returns a script that puts what our page changes of hls.js into a page: window.ours. */
export async function bundle(): Promise<string> {
  const made = await build({
    configFile: false, logLevel: "silent", root: new URL("..", import.meta.url).pathname,
    build: { write: false, minify: false, lib: { entry: "e2e/inpage.ts", formats: ["es"] } },
  });
  const [first] = Array.isArray(made) ? made : [made];
  if (!first || !("output" in first)) throw new Error("nothing was built");
  return first.output.map((o) => (o.type === "chunk" ? o.code : "")).join("\n");
}
