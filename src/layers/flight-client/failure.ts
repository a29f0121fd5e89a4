/** What a call that grpc-js gave up means: the words for an operator, and whether the same call may succeed later. */
import * as grpc from "@grpc/grpc-js"
import type { Secret } from "../../services/Config.ts"
import { FlightError } from "../../services/FlightClient.ts"
import type { Connection } from "./connection.ts"

const MAX_DETAIL_CHARS = 1_000

/** Statuses that the same call will meet again until somebody changes something. INTERNAL is not among them. */
const PERMANENT: ReadonlySet<grpc.status> = new Set([
  grpc.status.INVALID_ARGUMENT,
  grpc.status.NOT_FOUND,
  grpc.status.UNIMPLEMENTED,
  grpc.status.UNAUTHENTICATED,
  grpc.status.PERMISSION_DENIED
])

/** INTERNAL of a query that must be changed: what helps, where the server's words do not contain it. */
const QUERY_FAULTS: ReadonlyArray<readonly [pattern: RegExp, advice: (column: string) => string]> = [
  [
    // Source: arrow-rs, the IPC writer; servers cannot send what it needs.
    /\bno dict id for field (.+?)(?: \||\s*->|$)/m,
    (name) => {
      const column = `"${name.replaceAll("\"", "\"\"")}"`
      const cast = `CAST(${column} AS VARCHAR) AS ${column}`
      return `; the server cannot send a dictionary-encoded column: cast column ${column} in the query, as in ${cast}`
    }
  ],
  // On DoGet it is INVALID_ARGUMENT, unless only the plan of a range shows it.
  [/\bnon-incremental operation\b/, () => ""]
]

export interface FailedCall {
  readonly operation: FlightError["operation"]
  readonly connection: Connection
  /** A token in a file may be replaced; one in a variable stays what it is until the process is started again. */
  readonly credential: Secret<unknown> | undefined
  /** Of the answer; undefined where none came. */
  readonly contentType: string | undefined
}

/** The server reset the stream in good order but sent no status, as one does that gets SIGTERM. */
export const isReset = ({ contentType }: Pick<FailedCall, "contentType">, error: grpc.ServiceError): boolean =>
  isGrpc(contentType) && /^Received RST_STREAM with code 0\b/.test(error.details ?? "")

/** An answer without a type never was a web page. */
const isGrpc = (contentType: string | undefined): boolean => contentType?.startsWith("application/grpc") ?? true

export const failureOf = (call: FailedCall, error: grpc.ServiceError): FlightError => {
  const { connection: { isProxied, place }, contentType, credential, operation } = call
  const details = error.details ?? ""
  const fail = (status: grpc.status, detail: string, retryable: boolean) =>
    new FlightError({ operation, status: grpc.status[status] ?? String(status), detail, retryable })
  // What a gateway answers while a server is replaced, in the clothes of a status that a server would mean for good.
  const byGateway = details.startsWith("Received HTTP status code")
  if (!byGateway && !isGrpc(contentType)) {
    const found = `the answer is no gRPC but ${contentType}, such as the web page of a gateway whose server is away`
    return fail(grpc.status.UNAVAILABLE, `${found} ${place}`, true)
  }
  if (isReset(call, error)) {
    return fail(grpc.status.UNAVAILABLE, `the server ended the call without a status, as when it stops ${place}`, true)
  }
  // grpc-js rejects with an error of another kind where it cannot unpack a message.
  if (error.code === undefined) {
    return fail(
      grpc.status.INTERNAL,
      "a message cannot be unpacked: it is compressed, but not by gzip or deflate",
      true
    )
  }
  const words = (details === "" ? "the server gave no reason" : details)
    .replace(/\.? Resolution note: $/, "")
    .replace(/Last error: undefined$/, isProxied ? "The proxy did not connect" : "No reason is known")
    .slice(0, MAX_DETAIL_CHARS)
  // Both what arrives and what it unpacks to.
  if (error.code === grpc.status.RESOURCE_EXHAUSTED && /(larger than max|size larger than) /i.test(details)) {
    return fail(error.code, `${words}; raise GRPC_MAX_DECODE_MB`, false)
  }
  if (error.code === grpc.status.UNAUTHENTICATED || error.code === grpc.status.PERMISSION_DENIED) {
    const mayChange = error.code === grpc.status.UNAUTHENTICATED && credential?.mayChange === true
    const told = byGateway ? `${words} ${place}` : words
    return fail(error.code, `${told}; ${tokenHint(credential)}`, byGateway || mayChange)
  }
  if (error.code === grpc.status.INTERNAL) {
    for (const [pattern, advice] of QUERY_FAULTS) {
      const found = pattern.exec(details)
      if (found !== null) return fail(error.code, words + advice(found[1] ?? ""), false)
    }
  }
  // What comes from no server, or perhaps from another one, is told with where it was looked for.
  const elsewhere = byGateway || error.code === grpc.status.UNAVAILABLE || error.code === grpc.status.DEADLINE_EXCEEDED
  return fail(error.code, elsewhere ? `${words} ${place}` : words, byGateway || !PERMANENT.has(error.code))
}

const tokenHint = (credential: FailedCall["credential"]): string =>
  credential === undefined ? "set AMP_AUTH_TOKEN" : `check ${credential.variable}`
