/** The floor in a process of its own: sends rows that are already COPY BINARY, with nothing else to do. */
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import pg from "pg"
import { from as copyFrom } from "pg-copy-streams"
import { now, sleep, sleepUntil } from "./clock.ts"
import { rawCopy } from "./rawCopy.ts"
import { serve } from "./serve.ts"

/** One block of the bare tip. */
export interface BareBlock {
  readonly block: number
  /** Its rows, as COPY BINARY. */
  readonly bytes: Uint8Array
}

let client: pg.Client | undefined

const connected = (): pg.Client => {
  if (client === undefined) throw new Error("not connected")
  return client
}

const handlers = {
  connect: async (url: string): Promise<void> => {
    await client?.end()
    client = new pg.Client({ connectionString: url })
    client.on("error", () => undefined)
    await client.connect()
  },
  /** Copies a file into a table. */
  copy: ({ file, into }: { readonly file: string; readonly into: string }): Promise<void> =>
    rawCopy(connected(), into, file),
  run: async (statement: string): Promise<void> => {
    await connected().query(statement)
  },
  /** Commits one block every `intervalMillis`, each statement awaited; the answer is when each began. */
  bare: async (request: {
    readonly into: string
    readonly checkpoints: string
    readonly blocks: ReadonlyArray<BareBlock>
    readonly intervalMillis: number
  }): Promise<ReadonlyArray<{ readonly block: number; readonly beganAt: number }>> => {
    const began: Array<{ readonly block: number; readonly beganAt: number }> = []
    await sleep(request.intervalMillis)
    const started = now()
    for (const [index, { block, bytes }] of request.blocks.entries()) {
      await sleepUntil(started + index * request.intervalMillis)
      began.push({ block, beganAt: now() })
      await connected().query("BEGIN")
      const sink = connected().query(copyFrom(`COPY ${request.into} FROM STDIN (FORMAT BINARY)`))
      await pipeline(Readable.from([bytes]), sink)
      await connected().query(`UPDATE ${request.checkpoints} SET max_block_num = ${block}, updated_at = now()`)
      await connected().query(`NOTIFY ampsync, '${block}'`)
      await connected().query("COMMIT")
    }
    return began
  }
}

export type CopyHandlers = typeof handlers

serve(handlers)
