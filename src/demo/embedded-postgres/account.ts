/** Chooses the operating system account a server runs under: PostgreSQL refuses to run as root. */
import { Effect } from "effect"
import { lchown, readdir, readFile, stat } from "node:fs/promises"
import { dirname, join } from "node:path"
import { EmbeddedPostgresError } from "../EmbeddedPostgres.ts"

export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

const findAccount = (passwd: string, name: string): Account | undefined => {
  const fields = passwd.split("\n").find((line) => line.startsWith(`${name}:`))?.split(":")
  // macOS writes the uid of nobody as -2; the kernel knows it as an unsigned number.
  return fields && { name, uid: Number(fields[2]) >>> 0, gid: Number(fields[3]) >>> 0 }
}

/**
 * The account to switch to, `postgres` or else `nobody`; none where this process is not root: then the server runs under its
 * account. No account is ever created.
 */
export const serverAccount: Effect.Effect<Account | undefined, EmbeddedPostgresError> = Effect.gen(function*() {
  if (process.geteuid?.() !== 0) return undefined
  const passwd = yield* Effect.promise(() => readFile("/etc/passwd", "utf8").catch(() => ""))
  const account = findAccount(passwd, "postgres") ?? findAccount(passwd, "nobody")
  return account ?? (yield* new EmbeddedPostgresError({
    operation: "prepare",
    detail:
      "PostgreSQL does not run as root, and /etc/passwd has neither a user \"postgres\" nor \"nobody\"; add one of them, or "
      + "run the demo as another user"
  }))
})

const READ_AND_ENTER = 0o5

/** Whether `account` may read the directory `path` and enter all its parents, by their mode bits. */
export const isReachable = async (path: string, account: Account | undefined): Promise<boolean> => {
  if (account === undefined) return true
  for (let directory = path, needed = READ_AND_ENTER;; directory = dirname(directory), needed = 0o1) {
    const entry = await stat(directory)
    const shift = entry.uid === account.uid ? 6 : entry.gid === account.gid ? 3 : 0
    if (((entry.mode >> shift) & needed) !== needed) return false
    if (directory === dirname(directory)) return true
  }
}

/** Makes `account` the owner of `directory` and all its contents, so that it can remove them. */
export const chownTree = async (directory: string, account: Account | undefined): Promise<void> => {
  if (account === undefined) return
  const inside = await readdir(directory, { recursive: true })
  for (const path of [directory, ...inside.map((entry) => join(directory, entry))]) {
    await lchown(path, account.uid, account.gid)
  }
}
