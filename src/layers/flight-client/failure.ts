/** Turns the failure of a grpc-js call into a `FlightError`: a message for the operator, and whether a retry may help. */
import * as grpc from "@grpc/grpc-js"
import type { Secret } from "../../services/Config.ts"
import { FlightError } from "../../services/FlightClient.ts"
import type { Connection } from "./connection.ts"

const MAX_DETAIL_CHARS = 1_000

/** Statuses that a retry does not change. INTERNAL is not among them. */
const PERMANENT: ReadonlySet<grpc.status> = new Set([
  grpc.status.INVALID_ARGUMENT,
  grpc.status.NOT_FOUND,
  grpc.status.UNIMPLEMENTED,
  grpc.status.UNAUTHENTICATED,
  grpc.status.PERMISSION_DENIED
])

/** INTERNAL statuses of a query that must be changed: what to do, where the server's message does not have it. */
const QUERY_ERRORS: ReadonlyArray<readonly [pattern: RegExp, advice: (column: string) => string]> = [
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

/** What a port answers that is not one of Arrow Flight, or not with the scheme of the address: what to check. */
const WRONG_PORTS: ReadonlyArray<readonly [words: RegExp, advice: string]> = [
  [/wrong version number/, "the port answers without TLS: try http in AMP_FLIGHT_ADDR, or the port that has TLS"],
  [/no application protocol/, "what listens there has TLS, but not gRPC: check the port in AMP_FLIGHT_ADDR"],
  [
    /before secure TLS connection/,
    "what listens there has no TLS, or is not a gRPC server: check scheme and port in AMP_FLIGHT_ADDR"
  ],
  [
    /Protocol error/,
    "what listens there is not a gRPC server, but perhaps the Admin API: check the port in AMP_FLIGHT_ADDR"
  ],
  [
    /Last error: Failed to connect/,
    "what listens there closes the connection, as a port with TLS does: try https in AMP_FLIGHT_ADDR, or another port"
  ],
  [/Name resolution failed/, "check the host name in AMP_FLIGHT_ADDR"],
  [
    /self[- ]signed certificate|unable to verify|unable to get (?:local )?issuer/,
    "name a PEM file of the server's authority in NODE_EXTRA_CA_CERTS"
  ],
  [/Hostname\/IP does not match/, "use the name of the certificate in AMP_FLIGHT_ADDR"]
]

/** The words of grpc-js, not of a server. */
const UNCONNECTED = /^(?:No connection established|Name resolution failed)/

/** Without the places in OpenSSL's source, and the time of an attempt: a message must stay the same from one to the next. */
const readable = (text: string): string =>
  text.replace(/(?:Error: )?[0-9A-F]+:error:[0-9A-F]+:SSL routines:\w*:([^:]+):[^\n]*\n?/, "TLS: $1").replace(
    / \(\d{4}-\d\d-\d\dT[\d:.]+Z\)/,
    ""
  )

/** The call that failed. */
export interface FailedCall {
  readonly operation: FlightError["operation"]
  readonly connection: Connection
  /** A token in a file may be replaced; one in a variable stays what it is until the process is started again. */
  readonly credential: Secret<unknown> | undefined
  /** Of the response; undefined where none came. */
  readonly contentType: string | undefined
}

/** Whether the server reset the stream without an error and without a status, as it does on SIGTERM. */
export const isReset = ({ contentType }: Pick<FailedCall, "contentType">, error: grpc.ServiceError): boolean =>
  isGrpc(contentType) && /^Received RST_STREAM with code 0\b/.test(error.details ?? "")

/** A response without a content type is never a web page. */
const isGrpc = (contentType: string | undefined): boolean => contentType?.startsWith("application/grpc") ?? true

/** Builds the error of a failed call. */
export const failureOf = (call: FailedCall, error: grpc.ServiceError): FlightError => {
  const { connection: { isProxied, place }, contentType, credential, operation } = call
  const details = error.details ?? ""
  const fail = (status: grpc.status, detail: string, retryable: boolean) =>
    new FlightError({ operation, status: grpc.status[status] ?? String(status), detail, retryable })
  // A gateway's HTTP status while a server is replaced: grpc-js maps it to statuses that are permanent from a server.
  const byGateway = details.startsWith("Received HTTP status code")
  if (!byGateway && !isGrpc(contentType)) {
    const found = `the response is not gRPC but ${contentType}, such as the web page of a gateway whose server is away`
    return fail(grpc.status.UNAVAILABLE, `${found} ${place}`, true)
  }
  if (isReset(call, error)) {
    return fail(grpc.status.UNAVAILABLE, `the server ended the call without a status, as when it stops ${place}`, true)
  }
  // grpc-js fails with an error without a code where it cannot decompress a message.
  if (error.code === undefined) {
    return fail(
      grpc.status.INTERNAL,
      "a message cannot be decompressed: its compression is neither gzip nor deflate",
      true
    )
  }
  const message = readable(details === "" ? "the server gave no reason" : details)
    .replace(/\.? Resolution note: $/, "")
    .replace(/Last error: undefined$/, isProxied ? "The proxy did not connect" : "No reason is known")
    .slice(0, MAX_DETAIL_CHARS)
  const isUnconnected = error.code === grpc.status.UNAVAILABLE && UNCONNECTED.test(details)
  const unconnected = isUnconnected ? WRONG_PORTS.find(([words]) => words.test(details)) : undefined
  if (unconnected !== undefined) return fail(error.code, `${message} ${place}; ${unconnected[1]}`, true)
  // Both for the compressed and for the decompressed size.
  if (error.code === grpc.status.RESOURCE_EXHAUSTED && /(larger than max|size larger than) /i.test(details)) {
    return fail(error.code, `${message}; raise GRPC_MAX_DECODE_MB`, false)
  }
  if (error.code === grpc.status.UNAUTHENTICATED || error.code === grpc.status.PERMISSION_DENIED) {
    const mayChange = error.code === grpc.status.UNAUTHENTICATED && credential?.mayChange === true
    const reason = byGateway ? `${message} ${place}` : message
    return fail(error.code, `${reason}; ${tokenHint(credential)}`, byGateway || mayChange)
  }
  // It is about the address, not about the query, whatever status the HTTP one is mapped to.
  if (byGateway) {
    const advice = error.code === grpc.status.UNAVAILABLE
      ? ""
      : "; no Arrow Flight server answers there: check AMP_FLIGHT_ADDR"
    return fail(grpc.status.UNAVAILABLE, `${message} ${place}${advice}`, true)
  }
  if (error.code === grpc.status.INTERNAL) {
    for (const [pattern, advice] of QUERY_ERRORS) {
      const found = pattern.exec(details)
      if (found !== null) return fail(error.code, message + advice(found[1] ?? ""), false)
    }
  }
  // Without a response of the server itself the message needs the address.
  const needsPlace = error.code === grpc.status.UNAVAILABLE || error.code === grpc.status.DEADLINE_EXCEEDED
  return fail(error.code, needsPlace ? `${message} ${place}` : message, !PERMANENT.has(error.code))
}

const tokenHint = (credential: FailedCall["credential"]): string =>
  credential === undefined ? "set AMP_AUTH_TOKEN" : `check ${credential.variable}`
