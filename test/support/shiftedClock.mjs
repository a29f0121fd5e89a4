/**
 * Preloaded with `NODE_OPTIONS=--import`, gives a process a wall clock of its own: the file that SHIFTED_CLOCK_FILE names has the
 * milliseconds that are added to the machine's, and may change while the process runs. Timers and monotonic clocks stay as they
 * are, as when somebody sets the clock of a host.
 */
import { readFileSync } from "node:fs"

/** The file is read again after so long: programs ask for the time very often. */
const READ_INTERVAL_MILLIS = 20

const file = process.env.SHIFTED_CLOCK_FILE
const MachineDate = Date
let shiftMillis = 0
let readAtMillis = -Infinity

const now = () => {
  const atMillis = performance.now()
  if (atMillis - readAtMillis >= READ_INTERVAL_MILLIS) {
    readAtMillis = atMillis
    shiftMillis = Number(readFileSync(file, "utf8"))
  }
  return MachineDate.now() + shiftMillis
}

if (file !== undefined) {
  globalThis.Date = new Proxy(MachineDate, {
    apply: () => new MachineDate(now()).toString(),
    construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
    get: (target, key) => key === "now" ? now : Reflect.get(target, key)
  })
  MachineDate.prototype.constructor = globalThis.Date
}
