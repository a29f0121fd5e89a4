/** The HTTP client of one exporter: bounded in time and memory, and its failures are logged once. */
import { Cause, Duration, Effect, Redacted } from "effect"
import { HttpClient, HttpClientError, HttpClientRequest, type HttpClientResponse } from "effect/http"
import * as log from "../../domain/logLines.ts"
import { inTarget } from "../../domain/logTargets.ts"
import type { ExportSettings, TelemetrySettings } from "../../services/Config.ts"

/** The exporter sends an export so often where the reason of a failure may pass, and then gives it up. */
const ATTEMPTS = 4
/** Requests under way at a time: each holds its data in memory. */
const MAX_REQUESTS = 4

/** Why a request failed. */
interface Failure {
  readonly reason: string
  /** The variables to check. */
  readonly check: string
  /** The exporter sends it again. */
  readonly mayPass: boolean
}

/** A request that is not sent again: the exporter drops what it has, and pauses for a minute. */
class NotSent extends Error {}

/**
 * Wraps the client of the exporter of `signal`. Sends the headers of the settings, read again each time, and waits for an answer
 * no longer than the settings allow. Logs the first failure that the exporter gives up on, and then the next success.
 */
export const reportingClient =
  (signal: string, { url, variable }: ExportSettings, { headers, timeout }: TelemetrySettings) =>
  (client: HttpClient.HttpClient): HttpClient.HttpClient => {
    const address = `${url.origin}${url.pathname}`
    let [isFailing, failures, requests] = [false, 0, 0]

    const succeeded = Effect.suspend(() => {
      failures = 0
      if (!isFailing) return Effect.void
      isFailing = false
      return Effect.logInfo(log.telemetryExported(signal, address))
    }).pipe(inTarget("ampsync::telemetry"))
    const failed = ({ check, mayPass, reason }: Failure) =>
      Effect.suspend(() => {
        failures += 1
        if (isFailing || (mayPass && failures < ATTEMPTS)) return Effect.void
        isFailing = true
        return Effect.logWarning(log.telemetryFailed(signal, address, reason, check))
      }).pipe(inTarget("ampsync::telemetry"))

    const notSent = (failure: Failure) => Effect.andThen(failed(failure), Effect.die(new NotSent(failure.reason)))

    /** Reports what came of a request, and leaves it to the exporter to send it again. */
    const reported = (
      sent: Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>,
      request: HttpClientRequest.HttpClientRequest
    ) =>
      sent.pipe(
        // An answer that never ends is none.
        Effect.tap((response) => response.arrayBuffer),
        Effect.timeout(timeout),
        Effect.tap((response) =>
          response.status >= 200 && response.status < 300 ? succeeded : failed(refusal(response, variable))
        ),
        Effect.catch((error) => {
          const isTimeout = Cause.isTimeoutError(error)
          const reason = isTimeout ? `no answer within ${Duration.format(timeout)}` : causeOf(error)
          const failure = isTimeout
            ? new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request }) })
            : error
          return Effect.andThen(failed({ reason, check: variable, mayPass: true }), Effect.fail(failure))
        })
      )

    return client.pipe(
      HttpClient.mapRequestEffect((request) =>
        headers === undefined
          ? Effect.succeed(request)
          : headers.read.pipe(
            Effect.map((secret) => HttpClientRequest.setHeaders(request, Redacted.value(secret))),
            Effect.catch(({ message: reason, variable: check }) => notSent({ reason, check, mayPass: false }))
          )
      ),
      HttpClient.transform((sent, request) =>
        Effect.suspend(() => {
          if (requests >= MAX_REQUESTS) {
            const reason = `${MAX_REQUESTS} exports wait for an answer already`
            return notSent({ reason, check: "the collector, or lower OTEL_TRACES_SAMPLER_ARG", mayPass: false })
          }
          requests += 1
          return Effect.ensuring(reported(sent, request), Effect.sync(() => requests -= 1))
        })
      )
    )
  }

const refusal = (response: HttpClientResponse.HttpClientResponse, variable: string): Failure => ({
  reason: `HTTP ${response.status}`,
  check: response.status === 401 || response.status === 403
    ? "OTEL_EXPORTER_OTLP_HEADERS"
    : response.status === 400 || response.status === 415
    ? `${variable} and OTEL_EXPORTER_OTLP_PROTOCOL`
    : variable,
  mayPass: HttpClient.isTransientResponse(response)
})

/** In the words of the system; an address that resolves to several has a failure for each. */
const causeOf = ({ message, reason }: HttpClientError.HttpClientError): string => {
  const cause = "cause" in reason ? reason.cause : undefined
  const first = cause instanceof AggregateError ? cause.errors[0] : cause
  return first instanceof Error && first.message !== "" ? first.message : message
}
