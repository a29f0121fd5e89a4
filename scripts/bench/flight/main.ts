/** A Flight server of canned streams in a process of its own: next to no work per row while a product is measured. */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2"
import { parseResumeHeader, parseStreamHeader } from "../../../src/simulator/ticket.ts"
import { serve } from "../serve.ts"
import { serveAdmin } from "./admin.ts"
import { type CannedStream, cannedStream, hashes, type StreamSpec } from "./cannedStream.ts"
import { serveGrpc } from "./grpc.ts"
import { FIRST_BLOCK, NETWORK } from "./rows.ts"
import { sendPaced, sendRanges, type SentBlock, write } from "./send.ts"

/** Tables that get the same stream, in one copy. */
export interface LoadedStream {
  readonly tables: ReadonlyArray<string>
  readonly spec: StreamSpec
}

/** What one table will have received in the end. */
export interface Expected {
  readonly table: string
  readonly rows: number
  readonly lastBlock: number
}

export interface Behaviour {
  /** Only so many rows are sent: whole ranges, at least one. */
  readonly rows?: number | undefined
  readonly rowsPerSecond?: number | undefined
  /** Only the schema is sent until `sendBlocks` is called. */
  readonly paced?: boolean
}

const streams = new Map<string, CannedStream>()
let behaviour: Behaviour = {}
/** The last block that was sent at a pace: what is sent later is not in the chain yet. */
let pacedHead = FIRST_BLOCK
const open = new Map<ServerHttp2Stream, string>()

interface Ticket {
  readonly table: string
  readonly streaming: boolean
  /** The last block that the client has. */
  readonly after: string | undefined
}

const tableOf = (sql: string): string => /\bfrom\s+(?:"[^"]*"\.|\w+\.)*"?(\w+)"?/i.exec(sql)?.[1] ?? ""

const streamOf = (table: string): CannedStream => {
  const stream = streams.get(table)
  if (stream === undefined) throw new Error(`no stream is loaded for table ${table}`)
  return stream
}

const rangesOf = (stream: CannedStream) => {
  const { rows: most = Number.POSITIVE_INFINITY } = behaviour
  let rows = 0
  return stream.ranges.filter((range, index) => {
    rows += range.rows
    return index === 0 || rows <= most
  })
}

const headOf = (stream: CannedStream): bigint =>
  behaviour.paced === true ? pacedHead : rangesOf(stream).at(-1)?.lastBlock ?? FIRST_BLOCK

const flightInfo = (sql: string, headers: IncomingHttpHeaders) => {
  const table = tableOf(sql)
  const header = (name: string) => headers[name] === undefined ? undefined : String(headers[name])
  const streaming = parseStreamHeader(header("amp-stream")) ?? /\bstream\s*=\s*true/i.test(sql)
  const resume = header("amp-resume")
  const after = resume === undefined ? undefined : parseResumeHeader(resume)?.[NETWORK]?.number.toString()
  const ticket: Ticket = { table, streaming, after }
  return { schema: (streams.get(table) ?? hashes).schema, ticket: Buffer.from(JSON.stringify(ticket)) }
}

const doGet = (bytes: Uint8Array, stream: ServerHttp2Stream): void => {
  const { after, streaming, table } = JSON.parse(Buffer.from(bytes).toString()) as Ticket
  if (!streaming) {
    const asked = streams.get(table)
    return void stream.end((asked ?? hashes).batchAnswer(headOf(asked ?? [...streams.values()][0]!)))
  }
  const canned = streamOf(table)
  open.set(stream, table)
  stream.once("close", () => open.delete(stream))
  void write(stream, canned.opening)
  if (behaviour.paced === true) return
  const left = rangesOf(canned).filter(({ lastBlock }) => after === undefined || lastBlock > BigInt(after))
  // Afterwards the stream stays open and silent, as at the tip of a chain that stands still.
  void sendRanges(stream, left, behaviour.rowsPerSecond)
}

const flightPort = await serveGrpc({ flightInfo, doGet })
const adminPort = await serveAdmin(() => [...streams.keys()])

const handlers = {
  ports: () => ({ flight: flightPort, admin: adminPort }),
  /** Makes the streams of a case; those of the case before are forgotten. */
  load: (loaded: ReadonlyArray<LoadedStream>): void => {
    streams.clear()
    for (const { spec, tables } of loaded) {
      const stream = cannedStream(spec)
      for (const table of tables) streams.set(table, stream)
    }
  },
  /** What the streams opened from now on send; the answer is what each table receives. */
  behave: (wanted: Behaviour): ReadonlyArray<Expected> => {
    behaviour = wanted
    pacedHead = FIRST_BLOCK
    return [...streams].map(([table, stream]) => {
      const ranges = rangesOf(stream)
      return {
        table,
        rows: ranges.reduce((rows, range) => rows + range.rows, 0),
        lastBlock: Number(ranges.at(-1)?.lastBlock ?? 0n)
      }
    })
  },
  /** Sends blocks of a table, one at a time, to its newest stream. */
  sendBlocks: async (
    request: { readonly table: string; readonly blocks: number; readonly intervalMillis: number }
  ): Promise<ReadonlyArray<SentBlock>> => {
    const [stream] = [...open].findLast(([, table]) => table === request.table) ?? []
    if (stream === undefined) throw new Error(`no stream of table ${request.table} is open`)
    const ranges = streamOf(request.table).ranges.slice(0, request.blocks)
    return await sendPaced(stream, ranges, request.intervalMillis, ({ lastBlock }) => {
      pacedHead = lastBlock
    })
  }
}

export type FlightHandlers = typeof handlers

serve(handlers)
