/** Where log lines are provoked: real processes, their output as lines, and the lines that are expected in it. */
import { assert } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type * as log from "../../../src/domain/logLines.ts"
import { type AmpsyncProcess, startAmpsync } from "../../support/ampsyncProcess.ts"
import { eventually } from "../../support/eventually.ts"

export type LineName = keyof typeof log

export interface LoggedLine {
  /** As it is printed: `INFO`. Empty for what is printed before there is a log. */
  readonly level: string
  readonly message: string
  readonly target: string
  readonly table: string | undefined
}

/** One form of a line, and where it comes. */
export interface Expected<Scene extends string = string> {
  readonly scene: Scene
  readonly level: string
  /** All of it, or a pattern where a number varies. */
  readonly line: string | RegExp
}

export interface Stage {
  /** Starts the program with every line in its log. */
  readonly start: (
    environment: Readonly<Record<string, string>>,
    args?: ReadonlyArray<string>
  ) => Effect.Effect<AmpsyncProcess, never, Scope.Scope>
  /** Waits until a process of this stage has logged every form of these lines that is expected here. */
  readonly sees: (...names: ReadonlyArray<LineName>) => Effect.Effect<void>
}

const LOGFMT =
  /^timestamp=\S+ level=(\S+) message=("(?:[^"\\]|\\.)*"|\S+) target=(\S+)(?: table=("(?:[^"\\]|\\.)*"|\S+))?/

const valueOf = (text: string): string => text.startsWith("\"") ? JSON.parse(text) as string : text

/** Lines of logfmt, each with its message as it was logged; others as they are. */
export const linesOf = (output: string): ReadonlyArray<LoggedLine> =>
  output.split("\n").filter((line) => line !== "").map((line) => {
    const [, level, message, target, table] = LOGFMT.exec(line) ?? []
    if (level === undefined || message === undefined || target === undefined) {
      return { level: "", message: line, target: "", table: undefined }
    }
    return { level, message: valueOf(message), target, table: table === undefined ? undefined : valueOf(table) }
  })

export const isExpected = ({ level, line }: Expected, logged: LoggedLine): boolean =>
  logged.level === level && (typeof line === "string" ? logged.message === line : line.test(logged.message))

/** A stage whose lines are those that `expected` has of each name. */
export const makeStage = (expected: (name: LineName) => ReadonlyArray<Expected>) => {
  const processes: Array<AmpsyncProcess> = []
  const logged = () => processes.flatMap(({ output }) => linesOf(output()))
  const stage: Stage = {
    start: (environment, args) =>
      Effect.tap(
        startAmpsync({ RUST_LOG: "debug", ...environment }, args),
        (process) => Effect.sync(() => processes.push(process))
      ),
    sees: (...names) => {
      const wanted = names.flatMap((name) => {
        const lines = expected(name)
        if (lines.length === 0) assert.fail(`no line ${name} is expected here`)
        return lines
      })
      const missing = () => {
        const lines = logged()
        return wanted.filter((one) => !lines.some((line) => isExpected(one, line)))
      }
      return eventually(
        () =>
          `the log has ${missing().map(({ level, line }) => `${level} ${String(line)}`).join("\nand ")}\nIt has:\n${
            logged().slice(-300).map(({ level, message }) => `${level} ${message}`).join("\n")
          }`,
        Effect.sync(() => missing().length === 0),
        75_000
      )
    }
  }
  return { stage, logged }
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")

/** A whole line with fixed words between patterns. */
export const words = (texts: TemplateStringsArray, ...varying: ReadonlyArray<RegExp>): RegExp =>
  new RegExp(`^${texts.map((text, at) => escaped(text) + (varying[at]?.source ?? "")).join("")}$`)
