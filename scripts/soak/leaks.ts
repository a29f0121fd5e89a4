/** Builds of the program that leak on purpose: the judge must find each. Nothing of this is in the program. */
import { once } from "node:events"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import { buildMutant, type Mutant } from "../../test/chaos/mutants.ts"
import { MAIN } from "../../test/support/ampsyncProcess.ts"
import { start } from "../bench/children.ts"

const COMMAND = fileURLToPath(new URL("../soak.ts", import.meta.url))
const jiti = join(dirname(createRequire(import.meta.url).resolve("jiti/package.json")), "lib/jiti-cli.mjs")
const GROWS = 1

export interface Leak extends Mutant {
  /** A figure that must be found to grow. */
  readonly grows: string
}

export const leaks: ReadonlyArray<Leak> = [
  {
    name: "memory",
    what: "every buffer of rows is kept",
    grows: "resident memory",
    replacements: [{
      from: "take: () => free.pop() ?? newBuffer(COPY_BUFFER_BYTES)",
      to: "take: () => { const kept = newBuffer(COPY_BUFFER_BYTES); " +
        "(globalThis.keptBuffers ??= []).push(new Uint8Array(65536).fill(1)); return kept }"
    }]
  },
  {
    name: "descriptors",
    what: "every change of the config opens a file that is never closed",
    grows: "file descriptors",
    replacements: [{
      from: "yield* Effect_exports.logInfo(manifestChanged);",
      to:
        "yield* Effect_exports.logInfo(manifestChanged); process.getBuiltinModule(\"node:fs\").openSync(\"/dev/null\");"
    }]
  },
  {
    name: "watermarks",
    what: "the history of watermarks is never thinned",
    grows: "rows of _ampsync_watermarks",
    replacements: [{
      from: "appended.length % THIN_EVERY === 0 ? thin(appended, retentionBlocks) : appended",
      to: "appended"
    }]
  }
]

const find = async ({ grows, ...leak }: Leak, directory: string, minutes: number): Promise<boolean> => {
  const main = buildMutant(leak, MAIN, join(directory, `leak-${leak.name}`))
  const args = ["--minutes", String(minutes), "--json", join(directory, `${leak.name}.jsonl`)]
  const child = start(process.execPath, [jiti, COMMAND, ...args], {
    env: { ...process.env, AMPSYNC_MAIN: main },
    stdio: ["ignore", "pipe", "inherit"]
  })
  const [output, [code]] = await Promise.all([text(child.stdout!), once(child, "exit")])
  const evidence = output.split("\n").find((line) => line.startsWith(`GROWS  ${grows}`))
  const isFound = code === GROWS && evidence !== undefined
  console.log(`${leak.name}: ${leak.what}\n  ${isFound ? evidence : `NOT FOUND; exit code ${code}\n${output}`}`)
  return isFound
}

/** Runs a soak of so many minutes with each; gives the exit code: 0 when every leak was found. */
export const findLeaks = async (directory: string, minutes: number): Promise<number> => {
  let missed = 0
  for (const leak of leaks) if (!(await find(leak, directory, minutes))) missed += 1
  return missed === 0 ? 0 : 1
}
