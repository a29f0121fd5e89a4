/** `promtool`, the checker of Prometheus, where it is installed: it is not on npm. */
import { spawnSync } from "node:child_process"

/** Why there is none; undefined where there is one. */
export const promtoolUnavailable: string | undefined = spawnSync("promtool", ["--version"]).status === 0
  ? undefined
  : "promtool of Prometheus is not installed"

/** Runs it; gives all that it printed. */
export const promtool = (args: ReadonlyArray<string>, input = "") => {
  const { status, stderr, stdout } = spawnSync("promtool", args, { input, encoding: "utf8", timeout: 60_000 })
  return { status, output: `${stdout}${stderr}` }
}
