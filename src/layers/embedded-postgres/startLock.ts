/** Keeps two processes from starting one data directory at the same time. */
import { Effect } from "effect"
import { link, readFile, rename, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { EmbeddedPostgresError } from "../../services/EmbeddedPostgres.ts"

export const LOCK_FILE = "starting.lock"

/** When `pid` was started, in clock ticks since boot; empty where there is no /proc or no such process. */
const startTime = (pid: number): Promise<string> =>
  readFile(`/proc/${pid}/stat`, "utf8").then(
    // The second field is the program's name in parentheses and may hold spaces; the start time is the 22nd.
    (stat) => stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "",
    () => ""
  )

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM"
  }
}

/**
 * `pid` and its start time, because a number alone lies: in a restarted container the dead owner of a lock and the
 * process that reads it are both pid 1.
 */
const identity = async (pid: number) => `${pid} ${await startTime(pid)}`

const holderOf = async (lock: string): Promise<{ readonly text: string; readonly alive: boolean } | undefined> => {
  const text = await readFile(lock, "utf8").catch(() => undefined)
  if (text === undefined) return undefined
  const pid = Number.parseInt(text, 10)
  // An empty file is a lock whose owner is just writing into it.
  return { text, alive: Number.isNaN(pid) || (isAlive(pid) && text === await identity(pid)) }
}

const create = async (lock: string): Promise<boolean> => {
  try {
    await writeFile(lock, await identity(process.pid), { flag: "wx" })
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false
    throw cause
  }
}

/** Moves a dead owner's lock out of the way; gives it back when another process was quicker and made its own. */
const breakStale = async (lock: string, text: string) => {
  const aside = `${lock}.${process.pid}`
  await rename(lock, aside).catch(() => undefined)
  if ((await readFile(aside, "utf8").catch(() => text)) !== text) await link(aside, lock).catch(() => undefined)
  await rm(aside, { force: true })
}

const take = async (lock: string): Promise<"taken" | { readonly by: string }> => {
  if (await create(lock)) return "taken"
  const holder = await holderOf(lock)
  if (holder?.alive === true) return { by: holder.text.split(" ")[0] ?? "" }
  if (holder !== undefined) await breakStale(lock, holder.text)
  return (await create(lock)) ? "taken" : { by: "unknown" }
}

const failed = (detail: string, cause?: unknown) =>
  new EmbeddedPostgresError({ operation: "lock", detail, ...(cause === undefined ? {} : { cause }) })

/** Runs `effect` while holding the lock of `home`; fails at once when a living process holds it. */
export const withStartLock = <A, R>(
  home: string,
  effect: Effect.Effect<A, EmbeddedPostgresError, R>
): Effect.Effect<A, EmbeddedPostgresError, R> => {
  const lock = join(home, LOCK_FILE)
  const acquire = Effect.tryPromise({
    try: () => take(lock),
    catch: (cause) => failed(`cannot create ${lock}`, cause)
  }).pipe(Effect.flatMap((outcome) =>
    outcome === "taken" ? Effect.void : Effect.fail(failed(
      `another process (pid ${outcome.by}) is starting a server in ${home} right now; `
        + "wait for it, or choose another directory"
    ))
  ))
  return Effect.acquireUseRelease(acquire, () => effect, () => Effect.promise(() => rm(lock, { force: true })))
}
