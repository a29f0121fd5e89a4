/** Copies of the checkout, and what is built from them. */
import { existsSync } from "node:fs"
import { chmod, copyFile, mkdir, stat, symlink, utimes } from "node:fs/promises"
import { dirname, join } from "node:path"
import { run } from "../docker-smoke/run.ts"

export interface Conditions {
  /** Where the copy is made. */
  readonly folder: string
  /** Of the build. Files of the copy have the modes that git gives them: npm writes those into the tarball. */
  readonly umask: string
  readonly timeZone: string
  readonly locale: string
  /** When all files were changed last. */
  readonly changed: Date
  /** Whether the files are created from the last to the first. */
  readonly isReversed: boolean
}

/** The files of the working tree that git has or would add, changes included. */
const filesOf = async (root: string): Promise<ReadonlyArray<string>> => {
  const listed = await run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
  return listed.split("\0").filter((path) => path !== "" && existsSync(join(root, path)))
}

const environment = ({ folder, locale, timeZone }: Conditions) => ({
  TZ: timeZone,
  LC_ALL: locale,
  LANG: locale,
  npm_config_cache: join(folder, "..", "npm-cache"),
  npm_config_update_notifier: "false"
})

/** Runs a command in the copy, under its conditions. */
const runIn = (conditions: Conditions, ...command: ReadonlyArray<string>): Promise<string> => {
  const { folder, umask } = conditions
  return run(
    ["sh", "-c", `umask ${umask}; cd "$1" && shift && exec "$@"`, "sh", folder, ...command],
    environment(conditions)
  )
}

export const copyCheckout = async (
  root: string,
  conditions: Conditions,
  { install }: { readonly install: boolean }
): Promise<void> => {
  const { changed, folder, isReversed } = conditions
  const files = await filesOf(root)
  for (const path of isReversed ? files.toReversed() : files) {
    const copy = join(folder, path)
    await mkdir(dirname(copy), { recursive: true })
    await copyFile(join(root, path), copy)
    await chmod(copy, (await stat(copy)).mode & 0o100 ? 0o755 : 0o644)
    await utimes(copy, changed, changed)
  }
  if (install) await runIn(conditions, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
  else await symlink(join(root, "node_modules"), join(folder, "node_modules"))
}

/** Builds and packs the copy; returns the path of the tarball. */
export const packed = async (conditions: Conditions): Promise<string> => {
  await runIn(conditions, process.execPath, "scripts/build.mjs")
  await runIn(conditions, process.execPath, "scripts/sbom.mjs")
  // That was what `prepack` does.
  const printed = await runIn(conditions, "npm", "pack", "--ignore-scripts", "--offline", "--silent")
  return join(conditions.folder, printed.split("\n").at(-1)!)
}
