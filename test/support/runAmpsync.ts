/** Runs the built program to its end. */
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { tmpdir } from "node:os"
import { MAIN } from "./ampsyncProcess.ts"

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs it with exactly `environment` and the PATH, for a minute at most. */
export const runAmpsync = (environment: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>) =>
  Effect.promise(() =>
    new Promise<Ended>((resolve) => {
      const options = { cwd: tmpdir(), env: { PATH: process.env["PATH"], ...environment }, timeout: 60_000 }
      const child = execFile(process.execPath, [MAIN, ...args], options, (_, stdout, stderr) =>
        resolve({ code: child.exitCode ?? -1, stdout, stderr }))
    })
  )
