/**
 * Whether the same may be tried again with nothing changed on our side.
 *
 * Errors of ampsync that may be have a flag `retryable`, `SqlError` of Effect has `isRetryable`; an error without a flag is
 * final.
 */
export const isRetryable = (error: object): boolean =>
  ("retryable" in error && error.retryable === true) || ("isRetryable" in error && error.isRetryable === true)
