import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { makeWorld, type World } from "../support/world.ts"

/** Inputs with the underscores that are common in Solidity, in the document of a compiler. */
const ABI = {
  contractName: "Token",
  abi: ["Transfer", "Approval"].map((name) => ({
    type: "event",
    name,
    inputs: [
      { name: name === "Transfer" ? "_from" : "_owner", type: "address", indexed: true },
      { name: name === "Transfer" ? "_to" : "_spender", type: "address", indexed: true },
      { name: "_value", type: "uint256", indexed: false }
    ]
  }))
}

/** Runs a verb to its end, with a server and nothing else. */
const run = Effect.fnUntraced(function*(
  environment: Readonly<Record<string, string>>,
  args: ReadonlyArray<string>
) {
  const ampsync = yield* startAmpsync(environment, args)
  const { code } = yield* ampsync.exited
  return { code, output: ampsync.output() }
}, Effect.scoped)

const serverOf = ({ environment: { AMP_ADMIN_API_ADDR } }: World) => ({ AMP_ADMIN_API_ADDR: AMP_ADMIN_API_ADDR! })

describe("init", () => {
  for (const dialect of ["amp", "nozzle"] as const) {
    it.live(
      `writes a config that plan accepts, as a module with events of a contract and as JSON (${dialect})`,
      () =>
        Effect.gen(function*() {
          const world = yield* makeWorld({ dialect, blocks: 10 })
          const directory = yield* temporaryDirectory
          const [module, json] = [join(directory, "amp.config.ts"), join(directory, "amp.config.json")]
          const abi = join(directory, "token.json")
          yield* Effect.promise(() => writeFile(abi, JSON.stringify(ABI)))
          const written = yield* run(serverOf(world), ["init", "--dataset", "_/anvil", "--abi", abi, "--out", module])
          assert.strictEqual(written.code, 0, written.output)
          assert.match(written.output, /Wrote .*amp\.config\.ts: 5 tables of _\/anvil@0\.1\.0\./)
          assert.include(written.output, `DATASET_MANIFEST=${module} node dist/main.js plan`)
          const text = yield* Effect.promise(() => readFile(module, "utf8"))
          assert.include(text, `import { defineDataset } from "${dialect === "amp" ? "@edgeandnode/amp" : "nozzl"}"`)
          assert.include(text, "evm_decode_log")
          const chosen = ["--dataset", "anvil@0.1.0", "--tables", "blocks, logs"]
          const some = yield* run(serverOf(world), ["init", ...chosen, "--out", json])
          assert.strictEqual(some.code, 0, some.output)
          for (const path of [module, json]) {
            const plan = yield* run({ ...world.environment, DATASET_MANIFEST: path }, ["plan"])
            assert.strictEqual(plan.code, 3, plan.output)
            assert.match(plan.output, /^blocks: CREATE$/m)
            assert.strictEqual(/^transactions: CREATE$/m.test(plan.output), path === module)
            assert.strictEqual(/^transfer: CREATE$/m.test(plan.output), path === module)
            assert.notInclude(plan.output, "rejected")
          }
        }),
      60_000
    )
  }

  it.live(
    "writes nothing over a file that exists, and lists what there is in the place of what there is not",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 10 })
        const out = join(yield* temporaryDirectory, "amp.config.json")
        yield* Effect.promise(() => writeFile(out, "{}"))
        const anvil = ["--dataset", "anvil"]
        const refused: ReadonlyArray<readonly [args: ReadonlyArray<string>, reason: string]> = [
          [[...anvil, "--out", out], `${out} exists; name another file with --out, or replace it with --force`],
          [["--out", out, "--force"], "name a dataset with --dataset; the server has _/anvil@0.1.0, _/example@0.1.0"],
          [["--dataset", "anvi", "--out", out, "--force"], `no dataset "anvi" is published at this server`],
          [
            [...anvil, "--tables", "log", "--out", out, "--force"],
            `dataset _/anvil has no table "log" (did you mean "logs"?); it has blocks, transactions, logs`
          ],
          [[...anvil, "--out", `${out}.yaml`], "--out must end with .ts or .json"],
          [[...anvil, "--abi", out, "--out", out, "--force"], "is no JSON ABI"]
        ]
        const results = yield* Effect.forEach(refused, ([args]) => run(serverOf(world), ["init", ...args]), {
          concurrency: 2
        })
        for (const [index, { code, output }] of results.entries()) {
          assert.strictEqual(code, 2, output)
          assert.include(output, refused[index]![1])
        }
        assert.strictEqual(yield* Effect.promise(() => readFile(out, "utf8")), "{}")
        const silent = yield* run({ AMP_ADMIN_API_ADDR: "http://127.0.0.1:9" }, [
          "init",
          ...anvil,
          "--out",
          out,
          "--force"
        ])
        assert.strictEqual(silent.code, 1, silent.output)
        assert.include(silent.output, "AMP_ADMIN_API_ADDR")
      }),
    60_000
  )
})
