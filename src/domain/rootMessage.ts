/** Causes to follow at most: an error may be its own cause. */
const MAX_DEPTH = 5

/** The message of the first cause of an error; its code, then its name, where the message is empty. */
export const rootMessage = (error: unknown, depth = 0): string => {
  if (!(error instanceof Error)) return String(error)
  // The message of `fetch` is "fetch failed"; the reason is two causes deep.
  if (error.cause !== undefined && depth < MAX_DEPTH) return rootMessage(error.cause, depth + 1)
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined
  return error.message === "" ? code ?? error.name : error.message
}
