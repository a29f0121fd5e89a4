import { defineConfig } from "vitest/config"
import { sortTests } from "./scripts/fast-tests.mjs"

const { fast, slow } = sortTests(import.meta.dirname)

export default defineConfig({
  test: {
    // Two workers are what two cores can feed.
    pool: "forks",
    maxWorkers: 2,
    // Generous: end-to-end tests run several processes each, and a busy machine is no failure.
    testTimeout: 90_000,
    hookTimeout: 90_000,
    projects: [
      // Nothing of a file outlives it, so the files of a worker share the modules they import.
      { extends: true, test: { name: "fast", include: fast, isolate: false } },
      // One embedded PostgreSQL serves every file.
      { extends: true, test: { name: "slow", include: slow, globalSetup: ["test/support/globalSetup.ts"] } }
    ]
  }
})
