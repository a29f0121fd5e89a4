import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Stream, Tracer } from "effect"
import { SqlError } from "effect/sql"
import { TestClock } from "effect/testing"
import { TableHeld } from "../../../src/services/TableLeases.ts"
import { SpanTracer } from "../../../src/services/Telemetry.ts"
import { flightError, type Messages } from "../../doubles/FlightClient.ts"
import { frames } from "../../support/frames.ts"
import { data, watermark } from "../../support/scenario.ts"
import { type Script, supervised } from "../../support/supervised.ts"

const QUERY = "SELECT _block_num FROM anvil.blocks"

/** Every span that ended, in that order. */
const recordingTracer = () => {
  const ended: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      const end = span.end.bind(span)
      span.end = (time, exit) => {
        end(time, exit)
        ended.push(span)
      }
      return span
    }
  })
  return { tracer, ended, named: (name: string) => ended.filter((span) => span.name === name) }
}

const traced = Effect.fnUntraced(function*(script: Script) {
  const recorded = recordingTracer()
  const it = yield* Effect.provideService(supervised(script), SpanTracer, recorded.tracer)
  return { ...it, ...recorded }
})

const exitOf = ({ status }: Tracer.Span): Exit.Exit<unknown, unknown> | undefined =>
  status._tag === "Ended" ? status.exit : undefined

const silent = (): Effect.Effect<Messages> =>
  Effect.succeed(Stream.concat(Stream.fromIterable(frames("amp", data(0, 9), watermark(9))), Stream.never))

const elapse = (seconds: number) => Effect.repeat(TestClock.adjust("100 millis"), { times: seconds * 10 - 1 })

describe("the spans of a table", () => {
  it.effect("I7 that fails have the message alone, without its cause and without the text of a query", () =>
    Effect.gen(function*() {
      const cause = Object.assign(new Error("duplicate key"), { detail: "Key (name)=(hunter2) exists", query: QUERY })
      const reason = new SqlError.ConstraintError({ message: `no room for ${QUERY}`, operation: "COPY", cause })
      const it = yield* traced({ open: silent, answer: () => Effect.fail(new SqlError.SqlError({ reason })) })
      yield* elapse(1)
      const [failed] = it.named("chunk")
      for (const span of [failed!, it.named("commit")[0]!, it.named("attempt")[0]!]) {
        const exit = exitOf(span)
        assert(exit !== undefined && Exit.isFailure(exit))
        assert.strictEqual(Cause.prettyErrors(exit.cause)[0]?.message, "no room for (query)")
        const error = Cause.squash(exit.cause) as Error
        assert.strictEqual(error.stack, `SqlError: ${error.message}`)
        assert.isUndefined(error.cause)
      }
      assert.deepStrictEqual(failed!.attributes.get("ampsync.rows"), 1)
      assert.isUndefined(failed!.attributes.get("ampsync.rows_removed"))
      assert.deepStrictEqual(it.named("copy").map((span) => exitOf(span)?._tag), ["Success"])
    }))

  it.effect("link attempts and chunks by their ids, so that none keeps the ones before it in memory", () =>
    Effect.gen(function*() {
      const messages = Stream.fromIterable(frames("amp", data(0, 9), watermark(9)))
      const it = yield* traced({ open: () => Effect.succeed(Stream.concat(messages, Stream.fail(flightError()))) })
      yield* elapse(20)
      const attempts = it.named("attempt")
      assert.isAbove(attempts.length, 3)
      for (const [at, attempt] of attempts.entries()) {
        const before = attempts[at - 1]
        assert.deepStrictEqual(
          attempt.links.map(({ span }) => [span._tag, span.spanId]),
          before === undefined ? [] : [[
            "ExternalSpan",
            before.spanId
          ]]
        )
      }
    }))

  it.effect("of an attempt link to the last one that was made, also where the process stood by meanwhile", () =>
    Effect.gen(function*() {
      let asked = 0
      const held = Effect.fail(new TableHeld({ table: "t", writer: "other pid 1" }))
      const messages = Stream.fromIterable(frames("amp", data(0, 9), watermark(9)))
      const it = yield* traced({
        acquire: Effect.suspend(() => ++asked === 1 || asked > 4 ? Effect.void : held),
        open: () => Effect.succeed(Stream.concat(messages, Stream.fail(flightError())))
      })
      yield* elapse(20)
      const [first, second] = it.named("attempt")
      assert.deepStrictEqual(second!.links.map(({ span }) => span.spanId), [first!.spanId])
    }))

  it.effect("are not made of a process that stands by", () =>
    Effect.gen(function*() {
      const acquire = Effect.fail(new TableHeld({ table: "t", writer: "other pid 1" }))
      const it = yield* traced({ acquire, open: silent })
      yield* elapse(30)
      assert.isAbove(it.counts.acquired, 5)
      assert.deepStrictEqual(it.ended, [])
    }))

  it.effect("go to the tracer of the app that a sync is a part of", () =>
    Effect.gen(function*() {
      const { named, tracer } = recordingTracer()
      yield* Effect.withTracer(supervised({ open: silent }), tracer)
      yield* elapse(1)
      assert.lengthOf(named("chunk"), 1)
    }))

  it.effect("are not made where nothing takes them", () =>
    Effect.gen(function*() {
      const { session } = yield* supervised({ open: silent })
      assert.isUndefined(session.spans)
    }))
})
