/** The page for people and the event stream that keeps it up to date. */
import { Clock, Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { HealthApi } from "../../services/HealthApi.ts"
import { SyncStatus } from "../../services/SyncStatus.ts"
import { makeAnswers } from "./answers.ts"
import { makeEvents } from "./events.ts"
import { document, headers } from "./page/document.ts"

/** Each costs one event a second and a connection; probes must find connections that are free. */
const MAX_READERS = 32

const eventHeaders = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  // nginx would collect what comes until its buffer is full.
  "x-accel-buffering": "no"
}

export const pageHandlers = HttpApiBuilder.group(
  HealthApi,
  "page",
  Effect.fnUntraced(function*(handlers) {
    const { report } = makeAnswers(yield* SyncStatus)
    const events = yield* makeEvents(report)
    let readers = 0

    /** A place among the readers until the request has ended. */
    const takePlace = Effect.acquireRelease(
      Effect.suspend(() => {
        if (readers >= MAX_READERS) {
          return Effect.fail({
            message: `Not more than ${MAX_READERS} may watch at the same time. Close a page, or read /status.`
          })
        }
        return Effect.sync(() => {
          readers += 1
        })
      }),
      () =>
        Effect.sync(() => {
          readers -= 1
        })
    )

    return handlers
      .handleRaw("page", () =>
        Effect.map(
          Effect.all([report, Clock.currentTimeMillis]),
          ([status, nowMillis]) =>
            HttpServerResponse.text(document(status, nowMillis), { contentType: "text/html; charset=utf-8", headers })
        ))
      .handleRaw("events", () =>
        Effect.as(
          takePlace,
          HttpServerResponse.stream(events, { contentType: "text/event-stream", headers: eventHeaders })
        ))
  })
)
