/** What came of the tests under one version. */

export interface Result {
  /** The version that was asked for, such as `PostgreSQL 13.23` or `Node 24.21.0`. */
  readonly name: string
  readonly node: string
  readonly postgres: string
  readonly commit: string
  /** ISO 8601. */
  readonly started: string
  readonly seconds: number
  readonly files: number
  readonly passed: number
  readonly skipped: number
  /** Titles of the tests that failed, and files that could not be loaded, with the first line of the reason. */
  readonly failures: ReadonlyArray<string>
}

/** The part that is read of what vitest writes with `--reporter=json`. */
export interface VitestReport {
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly message?: string
    readonly assertionResults: ReadonlyArray<{
      readonly fullName: string
      readonly status: string
      readonly failureMessages?: ReadonlyArray<string> | null
    }>
  }>
}

const firstLine = (text: string): string => text.trim().split("\n")[0]!.slice(0, 200)

/** Counts a report. A file that did not load has no tests to count, yet it failed; and so did a run of no files. */
export const countReport = ({ testResults }: VitestReport, root: string) => {
  const tests = testResults.flatMap(({ assertionResults, name }) =>
    assertionResults.map((test) => ({ ...test, file: name.replace(`${root}/`, "") }))
  )
  const unloaded = testResults.filter(({ assertionResults, status }) =>
    status === "failed" && assertionResults.length === 0
  )
  const failed = tests.filter(({ status }) => status === "failed")
  return {
    files: testResults.length,
    passed: tests.filter(({ status }) => status === "passed").length,
    skipped: tests.filter(({ status }) => status !== "passed" && status !== "failed").length,
    failures: [
      ...(testResults.length === 0 ? ["no test file was run"] : []),
      ...unloaded.map(({ message, name }) =>
        `${name.replace(`${root}/`, "")}: not loaded: ${firstLine(message ?? "")}`
      ),
      ...failed.map(({ failureMessages, file, fullName }) =>
        `${file}: ${fullName}: ${firstLine(failureMessages?.[0] ?? "")}`
      )
    ]
  }
}

const HEADINGS = ["version", "Node", "PostgreSQL", "files", "passed", "skipped", "failed", "minutes"]

/** The results as a table for a terminal, one line each, and the failures below it. */
export const formatResults = (results: ReadonlyArray<Result>): string => {
  const rows = [
    HEADINGS,
    ...results.map(({ failures, files, name, node, passed, postgres, seconds, skipped }) =>
      [name, node, postgres, files, passed, skipped, failures.length, (seconds / 60).toFixed(1)].map(String)
    )
  ]
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd())
  const failures = results.flatMap(({ failures, name }) => failures.map((failure) => `${name}: ${failure}`))
  return [...lines, ...failures].join("\n")
}
