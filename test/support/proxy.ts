/** A TCP proxy on the loopback that injects faults. */
import { Effect, type Scope } from "effect"
import { connect, createServer, type Socket } from "node:net"

/** Type and length of BackendKeyData; int32 process id and int32 key follow. */
const BACKEND_KEY = Buffer.from([0x4b, 0, 0, 0, 12])
const FAKE_PROCESS_ID = 1
const TERMINATE = Buffer.from([0x58, 0, 0, 0, 4])

export interface Proxy {
  readonly port: number
  /** Connections that are open now. */
  readonly connections: () => number
  /** Bytes of the client that were passed on so far. */
  readonly passed: () => number
  /** Bytes of the server that were passed on so far. */
  readonly returned: () => number
  /** Connections that were reset by `cutOnReply` so far. */
  readonly cuts: () => number
  /** Resets a connection when the server's bytes contain `text`, which the client never sees; `times` often. */
  readonly cutOnReply: (text: string, times?: number) => void
  /** Ends the connection, in good order, behind the bytes of the server that contain `text`, which the client gets. */
  readonly cutAfterReply: (text: string) => void
  /** Passes nothing on any more, in neither direction, on every connection that has sent `text` since; none is closed. */
  readonly blackholeOnRequest: (text: string) => void
  /** Reads nothing more of any client, as a server whose processes are stopped; or only of those that are connected now. */
  readonly freeze: (clients?: "all" | "connected") => void
  /**
   * From now on counts the requests of PostgreSQL clients on new connections, and falls silent on the connection of the
   * `n`-th, counted from 1: before the request is passed on, or before its answer is. Data is still read, and nothing closed.
   */
  readonly goSilentAt: (n: number, lost: "request" | "answer") => void
  /** Requests counted so far. */
  readonly requests: () => number
  /** The statements of the connection that fell silent at its `n`-th request, that one included. */
  readonly silencedStatements: () => ReadonlyArray<string>
  /** Gives out process ids of its own for the sessions of PostgreSQL behind it, as poolers do. */
  readonly renumberBackends: () => void
  /** Keeps the sessions of PostgreSQL when their clients leave, until the scope closes, as poolers do. */
  readonly keepBackends: () => void
  /** Cuts every connection; those to come are passed on to another port. */
  readonly redirect: (port: number) => void
  /** Connections to come are passed on to another port; those that are open fall silent, as where a host loses its power. */
  readonly desert: (port: number) => void
  /** Whether a connection fell silent so far. */
  readonly isSilent: () => boolean
  /** Ends the injected faults; connections that fell silent stay so. */
  readonly restore: () => void
}

/** Passes every connection on to `port` until the scope closes; listens on a free port where none is named. */
export const startProxy = (port: number, listenOn = 0): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.gen(function*() {
    const sockets = new Set<Socket>()
    const kept = new Set<Socket>()
    const deserted = new WeakSet<Socket>()
    let target = port
    let passed = 0
    let returned = 0
    let cuts = 0
    let cut: { readonly text: string; times: number } | undefined
    let cutAfter: string | undefined
    let blackhole: string | undefined
    let silentAt: { readonly n: number; readonly lost: "request" | "answer" } | undefined
    let requests = 0
    let silencedStatements: ReadonlyArray<string> = []
    let isSilent = false
    let frozen = false
    let renumbering = false
    let keeping = false
    const server = createServer({ noDelay: true }, (client) => {
      const upstream = connect({ host: "127.0.0.1", port: target, noDelay: true })
      let silent = false
      const readMessages = silentAt === undefined ? undefined : messageReader()
      const statements: Array<string> = []
      const forward = (message: Buffer): void => {
        if (isStatement(message)) statements.push(message.toString("latin1", 5))
        if (isRequest(message)) {
          requests += 1
          const isLast = requests === silentAt?.n
          if (isLast) {
            silent = isSilent = true
            silencedStatements = statements
          }
          if (isLast && silentAt?.lost === "answer") upstream.write(message)
        }
        if (!silent) upstream.write(message)
      }
      const end = () => {
        if (deserted.has(client)) return void upstream.destroy()
        client.destroy()
        if (keeping) kept.add(upstream)
        else upstream.destroy()
        sockets.delete(client)
      }
      sockets.add(client)
      if (frozen) client.pause()
      for (const socket of [client, upstream]) socket.on("error", end).on("close", end)
      client.on("data", (bytes) => {
        if (blackhole !== undefined && bytes.includes(blackhole)) silent = isSilent = true
        if (silent || keeping && bytes.equals(TERMINATE)) return
        passed += bytes.length
        if (readMessages === undefined) upstream.write(bytes)
        else readMessages(bytes).forEach(forward)
      })
      upstream.on("data", (bytes) => {
        if (silent || deserted.has(client)) return
        if (cut !== undefined && bytes.includes(cut.text)) {
          cut.times -= 1
          cuts += 1
          if (cut.times === 0) cut = undefined
          client.resetAndDestroy()
          return end()
        }
        returned += bytes.length
        const key = renumbering ? bytes.indexOf(BACKEND_KEY) : -1
        if (key >= 0) bytes.writeInt32BE(FAKE_PROCESS_ID, key + BACKEND_KEY.length)
        if (cutAfter !== undefined && bytes.includes(cutAfter)) {
          client.end(bytes)
          return upstream.destroy()
        }
        // A client that does not read holds the server back, as without the proxy.
        if (!client.write(bytes)) {
          upstream.pause()
          client.once("drain", () => upstream.resume())
        }
      })
    })
    const listening = yield* Effect.acquireRelease(
      Effect.callback<number>((resume) => {
        server.listen(listenOn, "127.0.0.1", () => resume(Effect.succeed((server.address() as { port: number }).port)))
      }),
      () =>
        Effect.callback<void>((resume) => {
          for (const socket of [...sockets, ...kept]) socket.destroy()
          server.close(() => resume(Effect.void))
        })
    )
    return {
      port: listening,
      connections: () => sockets.size,
      passed: () => passed,
      returned: () => returned,
      cuts: () => cuts,
      cutOnReply: (text, times = 1) => {
        cut = { text, times }
      },
      cutAfterReply: (text) => {
        cutAfter = text
      },
      blackholeOnRequest: (text) => {
        blackhole = text
      },
      goSilentAt: (n, lost) => {
        silentAt = { n, lost }
        requests = 0
      },
      requests: () => requests,
      silencedStatements: () => silencedStatements,
      freeze: (clients = "all") => {
        frozen = clients === "all"
        for (const socket of sockets) socket.pause()
      },
      renumberBackends: () => {
        renumbering = true
      },
      keepBackends: () => {
        keeping = true
      },
      isSilent: () => isSilent,
      desert: (to) => {
        target = to
        for (const socket of sockets) deserted.add(socket.pause())
      },
      redirect: (to) => {
        target = to
        for (const socket of sockets) socket.resetAndDestroy()
      },
      restore: () => {
        renumbering = false
        cut = undefined
        cutAfter = undefined
        blackhole = undefined
        silentAt = undefined
        frozen = false
        for (const socket of sockets) socket.resume()
      }
    }
  })

/** int32 of a StartupMessage in the place of its version: protocol 3. */
const PROTOCOL_3 = 3 << 16

/** Splits what a client of PostgreSQL sends into its messages. Source: PostgreSQL, doc "Message Formats". */
const messageReader = () => {
  let rest = Buffer.alloc(0)
  let typed = false
  return (bytes: Buffer): ReadonlyArray<Buffer> => {
    rest = Buffer.concat([rest, bytes])
    const messages: Array<Buffer> = []
    for (;;) {
      const start = typed ? 1 : 0
      if (rest.length < start + 4) return messages
      const length = start + rest.readInt32BE(start)
      if (rest.length < length) return messages
      // A request for TLS has the form of a StartupMessage, and one follows it.
      if (!typed) typed = rest.readInt32BE(4) === PROTOCOL_3
      messages.push(rest.subarray(0, length))
      rest = rest.subarray(length)
    }
  }
}

/** Parse, Bind, Describe, Execute and Flush are answered with the Sync behind them; Terminate never is. */
const isRequest = (message: Buffer): boolean => !"PBDEHX".includes(String.fromCharCode(message[0]!))

/** Query or Parse. */
const isStatement = (message: Buffer): boolean => "QP".includes(String.fromCharCode(message[0]!))

/** `url` with the port of a proxy. */
export const throughProxy = (url: string, proxy: Pick<Proxy, "port">): string => {
  const parsed = new URL(url)
  parsed.port = String(proxy.port)
  return parsed.href
}
