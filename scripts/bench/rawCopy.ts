/** COPY FROM STDIN with nothing between a file and the socket, so that PostgreSQL never waits for the client. */
import { createReadStream } from "node:fs"
import type { Socket } from "node:net"
import pg from "pg"

const PIECE_BYTES = 256 * 1024
/** Pieces that are handed to the socket before the first of them is written. */
const MAX_UNSENT = 4

const COPY_DATA = 0x64
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4])
const COPY_FAIL = Buffer.from([0x66, 0, 0, 0, 5, 0])

type Connection = pg.Connection & { readonly stream: Socket }

/** Type byte and length, which counts itself. Source: PostgreSQL, Message Formats, CopyData. */
const headerOf = (bytes: number): Buffer => {
  const header = Buffer.allocUnsafe(5)
  header[0] = COPY_DATA
  header.writeInt32BE(bytes + 4, 1)
  return header
}

/** Settles when the bytes are written, and also when the socket is closed, which fails the query. */
const write = (socket: Socket, bytes: Buffer): Promise<void> =>
  new Promise((resolve) => {
    socket.cork()
    socket.write(headerOf(bytes.length))
    socket.write(bytes, () => resolve())
    socket.uncork()
  })

/** The handlers that pg calls while this is its query. */
class RawCopy implements pg.Submittable {
  private readonly text: string
  private readonly file: string
  private readonly done: (error: Error | undefined) => void
  private failed = false

  constructor(text: string, file: string, done: (error: Error | undefined) => void) {
    this.text = text
    this.file = file
    this.done = done
  }

  submit(connection: pg.Connection): void {
    connection.query(this.text)
  }

  handleCopyInResponse({ stream }: Connection): void {
    this.send(stream).then(
      () => stream.write(COPY_DONE),
      (error: unknown) => {
        stream.write(COPY_FAIL)
        this.handleError(error instanceof Error ? error : new Error(String(error)))
      }
    )
  }

  private async send(socket: Socket): Promise<void> {
    const unsent: Array<Promise<void>> = []
    for await (const piece of createReadStream(this.file, { highWaterMark: PIECE_BYTES })) {
      if (this.failed) return
      unsent.push(write(socket, piece as Buffer))
      if (unsent.length >= MAX_UNSENT) await unsent.shift()
    }
  }

  handleCommandComplete(): void {}

  handleError(error: Error): void {
    this.failed = true
    this.done(error)
  }

  handleReadyForQuery(): void {
    this.done(undefined)
  }
}

/** Copies a file of COPY BINARY into a table. */
export const rawCopy = (client: pg.Client, into: string, file: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const text = `COPY ${into} FROM STDIN (FORMAT BINARY)`
    client.query(new RawCopy(text, file, (error) => error === undefined ? resolve() : reject(error)))
  })
