import { readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";

// MELODYUD_API is where `npm run dev` sends API calls: a running server.
const api = process.env.MELODYUD_API ?? "http://127.0.0.1:8080";

/** The font's licence must travel with it; licenses.md holds those of scripts only. */
const fontLicense: Plugin = {
  name: "font-license",
  generateBundle() {
    const source = readFileSync(new URL("node_modules/@fontsource-variable/manrope/LICENSE", import.meta.url));
    this.emitFile({ type: "asset", fileName: "manrope-license.txt", source });
  },
};

export default defineConfig({
  plugins: [fontLicense],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    // Inlined assets would be data: URLs, which the page's policy forbids for fonts.
    assetsInlineLimit: 0,
    // hls.js is one lazily loaded chunk; its size is known and accepted.
    chunkSizeWarningLimit: 700,
    modulePreload: { polyfill: false },
    license: { fileName: "licenses.md" },
  },
  server: {
    proxy: Object.fromEntries(["/v1", "/p", "/signin"].map((path) => [path, { target: api }])),
  },
});
