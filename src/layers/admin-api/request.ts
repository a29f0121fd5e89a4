/** Sends one GET to the Admin API; the only place that decides what its failures mean. */
import { Duration, Effect, Redacted, Schema, type SchemaIssue } from "effect"
import { HttpClient, type HttpClientError, HttpClientRequest, type HttpClientResponse } from "effect/http"
import { makeWaitReporter } from "../../domain/reportWait.ts"
import { rootMessage } from "../../domain/rootMessage.ts"
import { withoutSecret } from "../../domain/withoutSecret.ts"
import type { AdminApiReason } from "../../services/AdminApi.ts"
import type { SyncSettings } from "../../services/Config.ts"

/** The fields of `AdminApiError` that do not depend on the operation. */
export interface Failure {
  readonly reason: AdminApiReason
  readonly status: number | undefined
  readonly code: string | undefined
  readonly detail: string
  readonly retryable: boolean
}

/** Returns the JSON of a 2xx response; `path` begins with a slash. */
export type Get = (path: string) => Effect.Effect<unknown, Failure>

const requestTimeout = Duration.seconds(10)
const maxDetailLength = 400

/** A failure that is not retryable unless `more` overrides it; `detail` is cut to 400 characters. */
export const failure = (reason: AdminApiReason, detail: string, more: Partial<Failure> = {}): Failure => ({
  reason,
  status: undefined,
  code: undefined,
  retryable: false,
  ...more,
  detail: detail.length > maxDetailLength ? `${detail.slice(0, maxDetailLength)}...` : detail
})

/** A client for one server; the token goes to that server only. */
export const makeGet = (
  client: HttpClient.HttpClient,
  settings: Pick<SyncSettings, "adminAddr" | "authToken">
): Get => {
  const base = settings.adminAddr.href.replace(/\/+$/, "")
  const reportWait = makeWaitReporter("ampsync::admin_api")
  const place = `${base}, which AMP_ADMIN_API_ADDR names,`
  /** What was sent last: a server may repeat it in its response. */
  let sentToken: string | undefined
  const authorized = (request: HttpClientRequest.HttpClientRequest) =>
    settings.authToken === undefined ? Effect.succeed(request) : settings.authToken.read.pipe(
      Effect.map((token) => {
        sentToken = Redacted.value(token)
        return HttpClientRequest.bearerToken(request, sentToken)
      }),
      Effect.mapError((error) => failure("Unauthorized", error.message, { retryable: true }))
    )
  const send = (request: HttpClientRequest.HttpClientRequest) =>
    client.execute(request).pipe(
      Effect.flatMap((response) => Effect.map(response.text, (text) => [response, text] as const)),
      Effect.mapError((error) => unreachable(error, place))
    )
  return (path) =>
    authorized(HttpClientRequest.get(base + path).pipe(HttpClientRequest.acceptJson)).pipe(
      Effect.flatMap(send),
      (request) =>
        reportWait(
          () => ({ for: `the Admin API (at ${base}, which AMP_ADMIN_API_ADDR names)`, limit: requestTimeout }),
          request
        ),
      // The body counts: a server may send its headers and then nothing more.
      Effect.timeoutOrElse({
        duration: requestTimeout,
        orElse: () =>
          Effect.fail(
            failure("Timeout", `no answer from ${place} within ${Duration.format(requestTimeout)}`, { retryable: true })
          )
      }),
      Effect.flatMap(([response, text]) =>
        interpret(response, withoutSecret(text, sentToken), base + path, settings.authToken)
      )
    )
}

type Credential = SyncSettings["authToken"]

const unreachable = (error: HttpClientError.HttpClientError, place: string): Failure =>
  failure("Unreachable", unreachableDetail(rootMessage(error), place), { retryable: true })

/** Something answered, where the answer cannot be parsed. Source: the reasons of llhttp, which `fetch` passes on. */
const unreachableDetail = (reason: string, place: string): string =>
  /Expected HTTP\/|Parse Error|HPE_/.test(reason)
    ? `what answers at ${place} is not an HTTP/1.1 server, but perhaps Arrow Flight: check the port in ` +
      `AMP_ADMIN_API_ADDR (${reason})`
    : `no answer from ${place} over HTTP: ${reason}`

const interpret = (
  response: HttpClientResponse.HttpClientResponse,
  text: string,
  url: string,
  credential: Credential
): Effect.Effect<unknown, Failure> => {
  const { status } = response
  const json = parse(text)
  if (status >= 200 && status < 300) {
    return json === undefined
      // A proxy that lost its server may truncate a response.
      ? Effect.fail(failure("UnexpectedAnswer", `the response of ${url} is not JSON`, { status, retryable: true }))
      : Effect.succeed(json.value)
  }
  return Effect.fail(errorResponse(status, errorDocument(json?.value), text, url, credential))
}

const errorResponse = (
  status: number,
  document: ErrorDocument | undefined,
  text: string,
  url: string,
  credential: Credential
): Failure => {
  const code = document?.error_code
  const detail = document?.error_message ?? (text.trim() === "" ? `${url} gave no reason` : text.trim())
  if (status === 401 || status === 403) {
    const hint = credential === undefined ? "set AMP_AUTH_TOKEN" : `check ${credential.variable}`
    // A token in a file may be replaced; a 403 means that a valid token lacks rights.
    const retryable = status === 401 && credential?.mayChange === true
    return failure("Unauthorized", `${detail}; ${hint}`, { status, code, retryable })
  }
  if (status === 408 || status === 429 || status >= 500) {
    return failure("Unavailable", detail, { status, code, retryable: true })
  }
  // A 404 without an error document is that of an unknown path: another generation, or another server.
  if ((status === 404 || status === 405) && document === undefined) {
    return failure("NoSuchRoute", `${url} is not a path of this server`, { status })
  }
  if (status === 404) return failure("DatasetNotFound", detail, { status, code, retryable: true })
  return failure("Rejected", detail, { status, code })
}

const ErrorDocument = Schema.Struct({ error_code: Schema.String, error_message: Schema.String })
type ErrorDocument = typeof ErrorDocument.Type
const isErrorDocument = Schema.is(ErrorDocument)

const errorDocument = (value: unknown): ErrorDocument | undefined => isErrorDocument(value) ? value : undefined

const parse = (text: string): { readonly value: unknown } | undefined => {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

/** Gets a document and decodes it; fails with `UnexpectedAnswer` where it has another shape. */
export const getDecoded = <S extends Schema.ConstraintDecoder<unknown>>(
  get: Get,
  path: string,
  schema: S
): Effect.Effect<S["Type"], Failure> => {
  const decode = Schema.decodeUnknownResult(schema)
  return Effect.flatMap(
    get(path),
    (body) =>
      Effect.mapError(
        Effect.fromResult(decode(body)),
        ({ issue }) => failure("UnexpectedAnswer", `the response of ${path} has an unexpected shape: ${oneLine(issue)}`)
      )
  )
}

const oneLine = (issue: SchemaIssue.Issue): string => issue.toString().replaceAll(/\s+/g, " ")
