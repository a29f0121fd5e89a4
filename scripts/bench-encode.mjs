/**
 * Measures decode and encode of log rows on one thread: `npm run bench:encode [-- <rows per batch> <rounds>]`.
 *
 * Encodes into one buffer of 256 KiB that is used again and again, as the product does.
 * The rows look like those of the EVM table `logs`: 13 columns, about 300 bytes of Arrow each, made by apache-arrow.
 */
import * as Arrow from "apache-arrow"
import { build } from "esbuild"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"

const rows = Number(process.argv[2] ?? 8192)
const rounds = Number(process.argv[3] ?? 15)

const codecs = async () => {
  const directory = await mkdtemp(join(tmpdir(), "ampsync-bench-"))
  const outfile = join(directory, "codecs.mjs")
  const contents = [
    "arrow/decodeFrame",
    "postgres/encode/encodeCopy",
    "postgres/encode/FieldWriter",
    "postgres/types/PgType",
    "postgres/encode/RowEncoder"
  ]
    .map((name) => `export * from "./src/domain/${name}.ts"`).join("\n")
  await build({
    stdin: { contents, resolveDir: process.cwd() },
    bundle: true,
    format: "esm",
    platform: "node",
    outfile
  })
  const module = await import(pathToFileURL(outfile).href)
  await rm(directory, { recursive: true })
  return module
}

let seed = 7
const random = () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 4294967296
}
const noise = (bytes) => Uint8Array.from({ length: bytes }, () => random() * 256)

const plain = (type, data) => Arrow.makeData({ type, length: rows, nullCount: 0, data })
const fixed = (width) => plain(new Arrow.FixedSizeBinary(width), noise(rows * width))
const topic = (nullShare) => {
  const nullBitmap = new Uint8Array(Math.ceil(rows / 8))
  let nullCount = rows
  for (let row = 0; row < rows; row++) {
    if (random() < nullShare) continue
    nullBitmap[row >> 3] |= 1 << (row & 7)
    nullCount -= 1
  }
  const data = noise(rows * 32)
  return Arrow.makeData({ type: new Arrow.FixedSizeBinary(32), length: rows, nullCount, nullBitmap, data })
}
const binary = () => {
  const valueOffsets = new Int32Array(rows + 1)
  for (let row = 0; row < rows; row++) valueOffsets[row + 1] = valueOffsets[row] + 32 * Math.floor(random() * 4)
  return Arrow.makeData({
    type: new Arrow.Binary(),
    length: rows,
    nullCount: 0,
    valueOffsets,
    data: noise(valueOffsets[rows])
  })
}

const blocks = BigUint64Array.from({ length: rows }, (_, row) => 19_000_000n + BigInt(row >> 7))
const times = BigInt64Array.from(blocks, (block) => (1_700_000_000n + 12n * block) * 1_000_000_000n)
const columns = {
  _block_num: plain(new Arrow.Uint64(), blocks),
  block_hash: fixed(32),
  block_num: plain(new Arrow.Uint64(), blocks),
  timestamp: plain(new Arrow.TimestampNanosecond("+00:00"), times),
  tx_hash: fixed(32),
  tx_index: plain(new Arrow.Uint32(), Uint32Array.from({ length: rows }, (_, row) => row & 127)),
  log_index: plain(new Arrow.Uint32(), Uint32Array.from({ length: rows }, (_, row) => row)),
  address: fixed(20),
  topic0: topic(0.01),
  topic1: topic(0.15),
  topic2: topic(0.25),
  topic3: topic(0.8),
  data: binary()
}

const framesOf = (table) => {
  const stream = Arrow.tableToIPC(table, "stream")
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength)
  const frames = []
  for (let at = 0; view.getInt32(at + 4, true) !== 0;) {
    const body = at + 8 + view.getInt32(at + 4, true)
    const dataHeader = stream.subarray(at + 8, body)
    at = body + Arrow.Message.decode(dataHeader).bodyLength
    frames.push({ dataHeader, dataBody: stream.subarray(body, at), appMetadata: new Uint8Array(0) })
  }
  return frames
}

const fields = Object.entries(columns).map(([name, data]) => new Arrow.Field(name, data.type, data.nullCount > 0))
const schema = new Arrow.Schema(fields)
const struct = Arrow.makeData({
  type: new Arrow.Struct(fields),
  length: rows,
  nullCount: 0,
  children: Object.values(columns)
})
const [schemaFrame, batchFrame] = framesOf(new Arrow.Table([new Arrow.RecordBatch(schema, struct)]))

const { decodeFrame, makeCopyPlan, makeRowEncoder, makeRowEncoderWith, noSchema, outputOf, planColumns } =
  await codecs()
const unwrap = (result) => {
  if (result._tag === "Failure") throw result.failure
  return result.success
}
const { state } = unwrap(decodeFrame(noSchema, schemaFrame))
const position = { kind: "column", index: 0, name: "_block_num" }
const plan = makeCopyPlan({ columns: unwrap(planColumns(state.schema)), position, textNul: "refuse" })
const range = { start: 0n, end: 30_000_000n }
const encoders = { JavaScript: makeRowEncoderWith(plan, undefined), WebAssembly: makeRowEncoder(plan) }
const out = outputOf(new Uint8Array(262_144))

const encodeBatch = (encoder, batch) => {
  const bound = unwrap(encoder.bind(batch))
  let bytes = 0
  let cursor
  for (let from = 0; from < rows;) {
    const written = unwrap(bound.write(out, 0, { from, to: rows, range, cursor }))
    if (written.rows === 0) throw new Error("a row is larger than the buffer")
    bytes += written.end
    from += written.rows
    cursor = written.cursor
  }
  return bytes
}

/** Runs `action` often enough for a stable figure; returns nanoseconds per run. */
const perRun = Math.max(1, Math.ceil(200_000 / rows))
const timed = (action) => {
  const started = process.hrtime.bigint()
  for (let run = 0; run < perRun; run++) action()
  return Number(process.hrtime.bigint() - started) / perRun
}

const { batch } = unwrap(decodeFrame(state, batchFrame))
const cases = { decode: () => decodeFrame(state, batchFrame) }
for (const [name, encoder] of Object.entries(encoders)) cases[name] = () => encodeBatch(encoder, batch)
const nanos = Object.fromEntries(Object.keys(cases).map((name) => [name, []]))
// Interleaved, so that a busy moment of the machine meets all cases alike.
for (let round = 0; round < rounds; round++) {
  for (const [name, action] of Object.entries(cases)) nanos[name].push(timed(action))
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]
const rate = (nanos) => `${(1000 * rows / nanos).toFixed(2)} Mrow/s`
const bytesPerRow = encodeBatch(encoders.JavaScript, batch) / rows
console.log(`${rows} rows per batch, ${bytesPerRow.toFixed(0)} bytes of COPY per row, ${rounds} rounds`)
console.log(`decode      median ${(median(nanos.decode) / 1000).toFixed(1)} us per batch`)
for (const name of Object.keys(encoders)) {
  const middle = median(nanos[name])
  const figures = `${(middle / rows).toFixed(0)} ns per row, ${rate(middle)}; best ${rate(Math.min(...nanos[name]))}`
  console.log(`${name.padEnd(11)} median ${figures}`)
}
