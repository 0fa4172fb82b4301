import { defineConfig } from "vite";

// MELODYUD_API is where `npm run dev` sends API calls: a running server.
const api = process.env.MELODYUD_API ?? "http://127.0.0.1:8080";

export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    // Inlined assets would be data: URLs, which the page's policy forbids for fonts.
    assetsInlineLimit: 0,
    // hls.js is one lazily loaded chunk; its size is known and accepted.
    chunkSizeWarningLimit: 700,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: Object.fromEntries(["/v1", "/p", "/signin"].map((path) => [path, { target: api }])),
  },
});
