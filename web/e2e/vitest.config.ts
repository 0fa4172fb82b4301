import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    dir: "e2e",
    // Browsers and encoders are heavy: one file after the other.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
