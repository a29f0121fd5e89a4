/** The code of an error of Node's, such as `ENOENT`: what may be reported of it where its message holds a path. */
export const errorCode = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : "unknown error"
