/** Follows the tables of DATABASE_URL until it is stopped, and prints every transaction. */
import { follow } from "./follow.ts"
import { printer } from "./print.ts"

const { DATABASE_URL: url, PUBLICATION: publication = "ampsync", SLOT: slot = "follower" } = process.env
if (url === undefined) throw new Error("DATABASE_URL is required: the database that ampsync fills")

const RECONNECT_MILLIS = 1_000

const stop = new AbortController()
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort())

while (!stop.signal.aborted) {
  try {
    await follow({ url, publication, slot }, printer(console.log), stop.signal)
  } catch (error) {
    if (stop.signal.aborted) break
    console.error(`${(error as Error).message}; connecting again`)
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MILLIS))
  }
}
