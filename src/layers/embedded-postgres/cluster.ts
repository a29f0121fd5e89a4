/**
 * The directory of one cluster: `data` (PGDATA), `password`, `postgres.log` and, during a start, `starting.lock`.
 *
 * `data` exists only complete: initdb works in `data.new`, and a rename ends it.
 */
import { Effect, Schedule } from "effect"
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { chown, mkdir, readdir, readFile, readlink, realpath, rm, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { EmbeddedPostgresError } from "../../services/EmbeddedPostgres.ts"
import { type Account, isReachable } from "./account.ts"
import { isAlive, LOCK_FILE } from "./startLock.ts"

export interface ClusterPaths {
  readonly home: string
  readonly data: string
  readonly passwordFile: string
  readonly log: string
}

export const clusterPaths = (home: string): ClusterPaths => ({
  home,
  data: join(home, "data"),
  passwordFile: join(home, "password"),
  log: join(home, "postgres.log")
})

const failed = (detail: string, cause?: unknown) =>
  new EmbeddedPostgresError({ operation: "prepare", detail, ...(cause === undefined ? {} : { cause }) })

const attempt = <A>(detail: string, run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: (cause) => failed(detail, cause) })

const OURS: ReadonlySet<string> = new Set(["data.new", "password", "postgres.log", LOCK_FILE, "lost+found"])

/** Makes `home` a directory that `account` owns and can reach; refuses one that holds somebody else's files. */
export const prepareHome = Effect.fnUntraced(function*(home: string, account: Account | undefined) {
  const entries = yield* attempt(`cannot make the directory ${home}`, async () => {
    await mkdir(dirname(home), { recursive: true })
    await mkdir(home, { recursive: true, mode: 0o700 })
    return readdir(home)
  })
  const foreign = entries.find((entry) => !OURS.has(entry) && !entry.startsWith(`${LOCK_FILE}.`))
  if (foreign !== undefined && !existsSync(join(home, "data", "PG_VERSION"))) {
    return yield* failed(
      `${home} is not empty (it holds "${foreign}") and is no data directory of ours; choose an empty or a new one`
    )
  }
  if (account === undefined) return
  yield* attempt(`cannot give ${home} to ${account.name}`, () => chown(home, account.uid, account.gid))
  if (!(yield* attempt(`cannot examine ${home}`, () => isReachable(home, account)))) {
    return yield* failed(
      `the server runs as ${account.name}, which cannot enter ${home}; choose a directory outside of root's home`
    )
  }
})

/** Refuses a cluster that another major version of PostgreSQL made; a new one is always fine. */
export const refuseOtherVersion = Effect.fnUntraced(function*(data: string, majorVersion: number) {
  const file = join(data, "PG_VERSION")
  if (!existsSync(file)) return
  const found = (yield* attempt(`cannot read ${file}`, () => readFile(file, "utf8"))).trim()
  if (found !== String(majorVersion)) {
    return yield* failed(
      `${data} was made by PostgreSQL ${found} and this is PostgreSQL ${majorVersion}; `
        + "dump and restore it, or choose another directory"
    )
  }
})

/** The password of the cluster: the one it was made with, or a new random one, kept in a file with mode 0600. */
export const clusterPassword = Effect.fnUntraced(function*(paths: ClusterPaths, account: Account | undefined) {
  const { data, passwordFile } = paths
  if (existsSync(data)) {
    return (yield* attempt(`cannot read the password of ${data}`, () => readFile(passwordFile, "utf8"))).trim()
  }
  const password = randomBytes(24).toString("base64url")
  yield* attempt(`cannot write ${passwordFile}`, async () => {
    await rm(passwordFile, { force: true })
    await writeFile(passwordFile, password, { mode: 0o600, flag: "wx" })
    if (account !== undefined) await chown(passwordFile, account.uid, account.gid)
  })
  return password
})

/**
 * Whether process `pid` is a server in `data`.
 *
 * Its working directory tells, because the number alone does not: in a restarted container it may be anybody. Where
 * there is no /proc, every living process counts.
 */
const servesData = async (pid: number, data: string): Promise<boolean> => {
  if (!isAlive(pid)) return false
  if (!existsSync("/proc/self/cwd")) return true
  // Unreadable means that it runs as somebody else, who could not write into our data either.
  return readlink(`/proc/${pid}/cwd`).then(async (cwd) => cwd === await realpath(data), () => false)
}

/** How long a predecessor may take to stop: its watchdog gives it 10 s before it insists. */
const PATIENCE = "15 seconds"

/** Waits for the server of a predecessor that is still stopping, and removes the pid file of one that is dead. */
export const awaitPredecessor = Effect.fnUntraced(function*(data: string) {
  const pidFile = join(data, "postmaster.pid")
  const running = Effect.promise(async () => {
    const pid = Number.parseInt(await readFile(pidFile, "utf8").catch(() => ""), 10)
    return !Number.isNaN(pid) && await servesData(pid, data)
  })
  yield* running.pipe(
    Effect.repeat({ schedule: Schedule.spaced("100 millis"), while: (still) => still }),
    Effect.timeoutOrElse({
      duration: PATIENCE,
      orElse: () => Effect.fail(failed(`another process uses ${data}; stop it, or choose another directory`))
    })
  )
  yield* attempt(`cannot remove the stale ${pidFile}`, () => rm(pidFile, { force: true }))
})

/** Waits until the server in `data` accepts connections on `port`: line 8 of its pid file says so. */
export const awaitReady = (data: string, port: number): Effect.Effect<void> =>
  Effect.promise(async () => {
    const lines = (await readFile(join(data, "postmaster.pid"), "utf8").catch(() => "")).split("\n")
    return lines[3] === String(port) && ["ready", "standby"].includes(lines[7]?.trim() ?? "")
  }).pipe(
    Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (ready) => ready }),
    Effect.asVoid
  )
