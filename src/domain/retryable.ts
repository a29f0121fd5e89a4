/**
 * Whether the same attempt may succeed later without a change of config, settings or data.
 *
 * Errors of ampsync carry the flag `retryable`, `SqlError` of Effect carries `isRetryable`; an error without a flag is final.
 */
export const isRetryable = (error: object): boolean =>
  ("retryable" in error && error.retryable === true) || ("isRetryable" in error && error.isRetryable === true)
