/** Time that several processes of one machine can compare. */

/** Milliseconds of the monotonic clock, which all processes share. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6

export const sleep = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

/** Settles at the moment `at` of `now`, or at once when that is over. */
export const sleepUntil = async (at: number): Promise<void> => {
  const left = at - now()
  if (left > 0) await sleep(left)
}
