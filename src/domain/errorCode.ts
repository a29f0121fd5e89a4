/** The code of a Node.js error, such as `ENOENT`, for reports where its message contains a path. */
export const errorCode = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : "unknown error"
