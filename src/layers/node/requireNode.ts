import { unsupportedNode } from "../../domain/unsupportedNode.ts"

/** Whether the program runs on this Node; where it does not, the reason goes to standard error, and the exit code is 2. */
export const requireNode = (): boolean => {
  const reason = unsupportedNode(process.versions.node)
  if (reason === undefined) return true
  process.stderr.write(`${reason}\n`)
  process.exitCode = 2
  return false
}
