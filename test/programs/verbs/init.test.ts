import { NodeHttpClient, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Console, Effect, Layer } from "effect"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { layerOn as adminApiOn } from "../../../src/layers/AdminApi.ts"
import { init } from "../../../src/programs/verbs/init.ts"
import { startSimulator } from "../../../src/simulator/Simulator.ts"
import { temporaryDirectory } from "../../support/temporaryDirectory.ts"
import { terminal } from "../../support/terminal.ts"

/** Runs `init` for a person who presses one key, or Ctrl-C where there is none. */
const initAtTerminal = Effect.fnUntraced(function*(key: string | undefined, out: string) {
  const { adminUrl } = yield* startSimulator({ dialect: "amp", seed: 7, blocks: 5 })
  const quiet = { ...globalThis.console, log: () => {} }
  yield* init({ abi: undefined, dataset: undefined, force: false, out, tables: undefined }).pipe(
    Effect.provide(
      Layer.provide(adminApiOn({ adminAddr: new URL(adminUrl), authToken: undefined }), NodeHttpClient.layerNodeHttp)
    ),
    Effect.provide(terminal(key)),
    Effect.provide(NodeServices.layer),
    Effect.provideService(Console.Console, quiet)
  )
})

describe("init at a terminal", () => {
  it.live("asks for the dataset, and takes all of its tables", () =>
    Effect.gen(function*() {
      const out = join(yield* temporaryDirectory, "amp.config.json")
      yield* initAtTerminal("enter", out)
      const written = JSON.parse(yield* Effect.promise(() => readFile(out, "utf8"))) as unknown
      assert.deepStrictEqual(written, {
        name: "anvil_tables",
        dependencies: { anvil: "_/anvil@0.1.0" },
        tables: {
          blocks: { sql: "SELECT * FROM anvil.blocks" },
          transactions: { sql: "SELECT * FROM anvil.transactions" },
          logs: { sql: "SELECT * FROM anvil.logs" }
        }
      })
    }))

  it.live("writes nothing after Ctrl-C", () =>
    Effect.gen(function*() {
      const out = join(yield* temporaryDirectory, "amp.config.json")
      const error = yield* Effect.flip(initAtTerminal(undefined, out))
      assert.strictEqual(error.message, "nothing was written")
    }))
})
