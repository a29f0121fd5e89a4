/** Runs the tests under one version of PostgreSQL or of Node. */
import { once } from "node:events"
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { start } from "../bench/children.ts"
import { run } from "../docker-smoke/run.ts"
import { countReport, type Result, type VitestReport } from "./results.ts"

export interface Subject {
  readonly name: string
  /** The folder of the program `node`; without one, the Node that runs this script. */
  readonly nodeDirectory?: string
  /** The server of AMPSYNC_POSTGRES; without one, that of the project. */
  readonly postgresDirectory?: string
  /** Test files; none for all of them. */
  readonly files: ReadonlyArray<string>
}

const NO_FILES: VitestReport = { testResults: [] }

/** The version that a server prints of itself: `postgres (PostgreSQL) 18.4`. */
const postgresVersion = async (directory: string): Promise<string> =>
  (await run([join(directory, "bin", "postgres"), "--version"])).split(" ")[2]!

/** Runs vitest in `root`; what it prints goes to `log`. */
export const runTests = async (
  { files, name, nodeDirectory, postgresDirectory }: Subject,
  { log, projectPostgres, root }: { readonly log: string; readonly projectPostgres: string; readonly root: string }
): Promise<Result> => {
  const node = nodeDirectory === undefined ? process.execPath : join(nodeDirectory, "node")
  const directory = mkdtempSync(join(tmpdir(), "ampsync-versions-report-"))
  const report = join(directory, "report.json")
  const started = new Date()
  const output = openSync(log, "w")
  try {
    const vitest = join(root, "node_modules", "vitest", "vitest.mjs")
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`]
    const child = start(node, [vitest, "run", ...reporters, ...files], {
      cwd: root,
      env: {
        ...process.env,
        // Programs that tests start by name, such as npm, run on the same Node.
        ...(nodeDirectory === undefined ? {} : { PATH: `${nodeDirectory}${delimiter}${process.env["PATH"] ?? ""}` }),
        ...(postgresDirectory === undefined ? {} : { AMPSYNC_POSTGRES: postgresDirectory })
      },
      stdio: ["ignore", output, output]
    })
    await once(child, "exit")
    const counted = existsSync(report) ? JSON.parse(readFileSync(report, "utf8")) as VitestReport : NO_FILES
    return {
      name,
      node: (await run([node, "--version"])).slice(1),
      postgres: await postgresVersion(postgresDirectory ?? projectPostgres),
      commit: await run(["git", "-C", root, "describe", "--always", "--dirty"]),
      started: started.toISOString(),
      seconds: Math.round((Date.now() - started.getTime()) / 1000),
      ...countReport(counted, root)
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
