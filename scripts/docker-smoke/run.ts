/** Runs the commands of a container engine to their end. */
import { spawn } from "node:child_process"

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs one command; a program that is not installed has no exit code. */
export const attempt = (
  [command, ...args]: readonly [string, ...Array<string>],
  environment: Readonly<Record<string, string>> = {}
): Promise<Ended> =>
  new Promise((resolve) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let [stdout, stderr] = ["", ""]
    child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text)
    child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text)
    child.once("error", ({ message }) => resolve({ code: null, stdout, stderr: message }))
    child.once("close", (code) => resolve({ code, stdout, stderr }))
  })

/** As `attempt`; throws with the last lines of the output where the exit code is not 0. Returns the standard output. */
export const run = async (
  command: readonly [string, ...Array<string>],
  environment?: Readonly<Record<string, string>>
): Promise<string> => {
  const { code, stderr, stdout } = await attempt(command, environment)
  if (code === 0) return stdout.trim()
  throw new Error(
    `${command.join(" ")}: exit code ${code}\n${`${stdout}${stderr}`.trim().split("\n").slice(-15).join("\n")}`
  )
}
