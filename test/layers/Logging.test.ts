import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Logger, Redacted, References } from "effect"
import { aboutTable, inTarget } from "../../src/domain/logTargets.ts"
import { parseLogFilter } from "../../src/domain/settings/logFilter.ts"
import type { LogFormat } from "../../src/domain/settings/logFormat.ts"
import { layer } from "../../src/layers/Logging.ts"
import { LogOutput, type LogStream } from "../../src/services/LogOutput.ts"

/** The lines that `effect` writes under `RUST_LOG=filter`, at 1970-01-01. */
const linesOf = (effect: Effect.Effect<void>, format: LogFormat, filter = "info") =>
  Effect.gen(function*() {
    const lines: Array<readonly [string, LogStream]> = []
    const parsed = yield* Effect.fromResult(parseLogFilter(filter))
    yield* effect.pipe(
      Effect.provide(layer({ filter: parsed, format })),
      Effect.provideService(LogOutput, { write: (line, stream) => lines.push([line, stream]) })
    )
    return lines
  })

const textOf = (effect: Effect.Effect<void>, format: LogFormat, filter?: string) =>
  Effect.map(linesOf(effect, format, filter), (lines) => lines.map(([line]) => line))

const about = Effect.logWarning("Table 'logs' is \"new\"").pipe(aboutTable("logs"), inTarget("ampsync::table"))
const HOSTILE = "two\nlines, \u001b[31mred\u2028\u0085"

describe("the log as logfmt", () => {
  it.effect("has the time, the level, the message, the target and the table of a line, and no fiber", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* textOf(Effect.andThen(Effect.logInfo("ready"), about), "logfmt"), [
        "timestamp=1970-01-01T00:00:00.000Z level=INFO message=ready target=ampsync",
        "timestamp=1970-01-01T00:00:00.000Z level=WARN message=\"Table 'logs' is \\\"new\\\"\" target=ampsync::table table=logs"
      ])
    }))

  it.effect("has one line per entry, whatever is in a message or a cause", () =>
    Effect.gen(function*() {
      const logged = Effect.logError(HOSTILE, Cause.fail(new Error("no\nway")))
      const [line, ...others] = yield* textOf(logged, "logfmt")
      assert.deepStrictEqual(others, [])
      assert.notMatch(line!, /[\p{Cc}\u2028]/u)
      assert.include(line, "message=\"two\\nlines, \\u001b[31mred\\u2028\\u0085\"")
      assert.match(line!, /cause="Error: no\\nway\\n/)
    }))
})

describe("the log as JSON", () => {
  it.effect("is one object per line with the same keys in the same order", () =>
    Effect.gen(function*() {
      const lines = yield* textOf(
        Effect.andThen(about, Effect.logError(HOSTILE, Cause.fail(new Error("no\nway")))),
        "json"
      )
      assert.deepStrictEqual(JSON.parse(lines[0]!), {
        timestamp: "1970-01-01T00:00:00.000Z",
        level: "WARN",
        message: "Table 'logs' is \"new\"",
        target: "ampsync::table",
        table: "logs"
      })
      const failed = JSON.parse(lines[1]!)
      assert.deepStrictEqual(Object.keys(failed), ["timestamp", "level", "message", "target", "cause"])
      assert.strictEqual(failed.message, HOSTILE)
      for (const line of lines) assert.notMatch(line, /[\p{Cc}\u2028]/u)
    }))
})

describe("the log for people", () => {
  it.effect("has one line per entry, with the table only where the message does not name it", () =>
    Effect.gen(function*() {
      const lines = yield* textOf(
        Effect.all([about, aboutTable("logs")(Effect.logInfo("Batch performance: 5ms")), Effect.logError(HOSTILE)], {
          discard: true
        }),
        "pretty"
      )
      assert.deepStrictEqual(lines.map((line) => line.replace(/^\d\d:\d\d:\d\d\.\d\d\d /, "")), [
        "WARN  Table 'logs' is \"new\"",
        "INFO  Batch performance: 5ms table=logs",
        "ERROR two\\nlines, \\u001b[31mred\\u2028\\u0085"
      ])
    }))
})

describe("RUST_LOG", () => {
  const everywhere = Effect.all([
    Effect.logInfo("root"),
    inTarget("ampsync::table")(Effect.logDebug("table")),
    inTarget("ampsync::table")(inTarget("ampsync::pg_pool")(Effect.logWarning("pool"))),
    inTarget("ampsync::reload")(Effect.logError("reload"))
  ], { discard: true })
  const messages = (filter: string) =>
    Effect.map(textOf(everywhere, "json", filter), (lines) => lines.map((line) => JSON.parse(line).message))

  it.effect("selects by level and by the target with the longest name", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* messages("info"), ["root", "pool", "reload"])
      assert.deepStrictEqual(yield* messages("warn,ampsync::table=debug"), ["table", "pool", "reload"])
      assert.deepStrictEqual(yield* messages("TRACE,ampsync::reload=off,sqlx=error"), ["root", "table"])
      assert.deepStrictEqual(yield* messages("off,ampsync::reload=Error"), ["reload"])
      assert.deepStrictEqual(yield* messages("ampsync::table=trace,ampsync=off"), ["table"])
      assert.deepStrictEqual(yield* messages("off"), [])
    }))

  it.effect("does not even make lines that no target selects", () =>
    Effect.gen(function*() {
      const levelAt = (text: string) =>
        Effect.flatMap(Effect.fromResult(parseLogFilter(text)), (filter) =>
          Effect.provide(References.MinimumLogLevel, layer({ filter, format: "json" })))
      assert.strictEqual(yield* levelAt("info,h2=trace"), "Info")
      assert.strictEqual(yield* levelAt("warn,ampsync::table=debug"), "Debug")
      assert.strictEqual(yield* levelAt("off,ampsync=off"), "None")
    }))
})

describe("the output of the log", () => {
  it.effect("is standard error where the result is on standard output", () =>
    Effect.gen(function*() {
      const line = Effect.logInfo("x")
      assert.deepStrictEqual((yield* linesOf(line, "json")).map(([, stream]) => stream), ["stdout"])
      const toStderr = Effect.provideService(line, Logger.LogToStderr, true)
      assert.deepStrictEqual((yield* linesOf(toStderr, "json")).map(([, stream]) => stream), ["stderr"])
    }))

  it.effect("I7 has nothing of a redacted value", () =>
    Effect.gen(function*() {
      for (const format of ["pretty", "logfmt", "json"] as const) {
        const secret = Redacted.make("pa55word")
        const logged = Effect.annotateLogs(Effect.logInfo("value", { secret }, secret), { secret })
        const lines = (yield* textOf(logged, format)).join("\n")
        assert.include(lines, "redacted")
        assert.notInclude(lines, "pa55word")
      }
    }))
})

describe("colors", () => {
  const colored = (environment: Readonly<Record<string, string>>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const before = { ...process.env }
        for (const name of ["NO_COLOR", "FORCE_COLOR", "TERM"]) delete process.env[name]
        Object.assign(process.env, environment)
        const isTTY = process.stdout.isTTY
        process.stdout.isTTY = true
        return { before, isTTY }
      }),
      () => Effect.map(textOf(Effect.logInfo("x"), "pretty"), ([line]) => line!.includes("\u001b[")),
      ({ before, isTTY }) =>
        Effect.sync(() => {
          for (const name of ["NO_COLOR", "FORCE_COLOR", "TERM"]) delete process.env[name]
          Object.assign(process.env, before)
          process.stdout.isTTY = isTTY
        })
    )

  it.effect("are left out for NO_COLOR and TERM=dumb, unless FORCE_COLOR asks for them", () =>
    Effect.gen(function*() {
      assert.isTrue(yield* colored({}))
      assert.isFalse(yield* colored({ NO_COLOR: "1" }))
      assert.isTrue(yield* colored({ NO_COLOR: "" }))
      assert.isFalse(yield* colored({ TERM: "dumb" }))
      assert.isTrue(yield* colored({ NO_COLOR: "1", FORCE_COLOR: "1" }))
      assert.isFalse(yield* colored({ FORCE_COLOR: "0" }))
    }))
})
