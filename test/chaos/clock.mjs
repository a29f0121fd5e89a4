/** Loaded into a process before the program: its wall clock is off by the milliseconds that the file CHAOS_CLOCK holds. */
import { readFileSync } from "node:fs"

const READ_EVERY_MILLIS = 50

const RealDate = Date
let offsetMillis = 0
const read = () => {
  try {
    offsetMillis = Number(readFileSync(process.env.CHAOS_CLOCK, "utf8")) || 0
  } catch {
    // Not written yet.
  }
}
const now = () => RealDate.now() + offsetMillis

read()
setInterval(read, READ_EVERY_MILLIS).unref()
globalThis.Date = new Proxy(RealDate, {
  apply: () => new RealDate(now()).toString(),
  construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  get: (target, name) => name === "now" ? now : Reflect.get(target, name)
})
