/** Follows the tables of DATABASE_URL and DATABASE_SCHEMA until it is stopped, and prints where it stands. */
import { follow } from "./follow.ts"

const { DATABASE_SCHEMA: schema = "public", DATABASE_URL: url } = process.env
if (url === undefined) throw new Error("DATABASE_URL is required: the database that ampsync fills")

const stop = new AbortController()
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort())

await follow({ url, schema, derived: "derived" }, stop.signal, (position) => {
  if (position instanceof Error) return console.error(`${position.message}; connecting again`)
  console.log([`derived up to block ${position.block}`, ...position.problems].join("; "))
})
