import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/globalSetup.ts"],
    // One embedded PostgreSQL serves every file; two workers are what two cores can feed.
    pool: "forks",
    maxWorkers: 2,
    // Generous: end-to-end tests run several processes each, and a busy machine is no failure.
    testTimeout: 90_000,
    hookTimeout: 90_000
  }
})
