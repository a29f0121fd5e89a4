/**
 * Damages Arrow messages for a while: `npx jiti scripts/fuzz.ts --seconds 60 [--seed 1]`.
 *
 * Starts from the streams of test/fixtures/ipc. What must never happen: a throw, a hang, bytes that depend on memory around a
 * message. What made it happen is kept in test/fixtures/fuzz, which the tests read from then on.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { damage, type Failure, failureOf, savedCase } from "../test/domain/arrow/fuzzDecoder.ts"
import { framesOfStream } from "../test/domain/arrow/ipcFrames.ts"
import { randomFrom } from "../test/domain/postgres/randomColumns.ts"

const { values } = parseArgs({ options: { seconds: { type: "string" }, seed: { type: "string" } } })
const seconds = Number(values.seconds ?? 60)
const seed = Number(values.seed ?? Date.now() % 4294967296)

const fixtures = new URL("../test/fixtures/", import.meta.url)
const { streams }: { streams: Record<string, string> } = JSON.parse(
  readFileSync(new URL("ipc/pyarrow.json", fixtures), "utf8")
)
const corpus = Object.values(streams).map((stream) => framesOfStream(Uint8Array.from(Buffer.from(stream, "base64"))))

const report = (failure: Failure, frames: Parameters<typeof savedCase>[0], round: number) => {
  const directory = new URL("fuzz/", fixtures)
  mkdirSync(directory, { recursive: true })
  const path = new URL(`seed-${seed}-round-${round}.json`, directory)
  writeFileSync(path, savedCase(frames, failure))
  console.error(`round ${round}: ${failure.what}\nkept in ${path.pathname}`)
}

const random = randomFrom(seed)
const until = Date.now() + seconds * 1000
let round = 0
let failures = 0
for (; Date.now() < until && failures < 10; round++) {
  const frames = damage(random, corpus[round % corpus.length]!)
  const failure = failureOf(frames)
  if (failure === undefined) continue
  failures += 1
  report(failure, frames, round)
}
console.log(`${round} damaged streams in ${seconds} s, seed ${seed}: ${failures} failures`)
process.exitCode = failures === 0 ? 0 : 1
