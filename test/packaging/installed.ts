/** The package as a user gets it: packed, and installed in a folder outside of the repository. */
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { text } from "node:stream/consumers"

export const repository = join(import.meta.dirname, "..", "..")

interface PackageJson {
  readonly bin: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

export interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program in `cwd` and waits for its end; a minute is more than any needs. */
export const run = (
  cwd: string,
  command: string,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {}
): Effect.Effect<Ran> =>
  Effect.promise(async (signal) => {
    const { PATH } = process.env
    const child = spawn(command, args, {
      cwd,
      // Not the environment of the tests, which may have settings of a sync.
      env: { PATH, HOME: cwd, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 60_000,
      signal
    })
    const [[status], stdout, stderr] = await Promise.all([once(child, "close"), text(child.stdout), text(child.stderr)])
    return { status: status as number | null, stdout, stderr }
  })

/** Links `name` of the repository's node_modules where the installed package finds it; skips one for another platform. */
const link = async (modules: string, name: string): Promise<void> => {
  const target = join(repository, "node_modules", name)
  const exists = await readdir(target).then(() => true, () => false)
  if (!exists) return
  await mkdir(dirname(join(modules, name)), { recursive: true })
  await symlink(target, join(modules, name))
}

export interface Installed {
  /** The user's folder; `ampsync` and what it depends on are in its node_modules. */
  readonly folder: string
  readonly bin: string
  readonly tarball: string
  /** Paths inside the package. */
  readonly files: ReadonlyArray<string>
}

/** Packs what `dist` holds now and installs it without a network: its dependencies are those of the repository. */
export const installed = Effect.acquireRelease(
  Effect.gen(function*() {
    const folder = yield* Effect.promise(() => mkdtemp(join(tmpdir(), "ampsync-test-pack-")))
    // Without scripts, because `prepack` would build a second time and replace `dist` under the other tests.
    const args = ["pack", "--json", "--ignore-scripts", "--offline", "--pack-destination", folder]
    // npm keeps logs in its home; the repository is none.
    const packed = yield* run(repository, "npm", args, { HOME: folder })
    if (packed.status !== 0) return yield* Effect.die(new Error(`npm pack failed: ${packed.stderr}`))
    return yield* Effect.promise(() => install(folder))
  }),
  ({ folder }) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

const install = async (folder: string): Promise<Installed> => {
  const tarball = (await readdir(folder)).find((name) => name.endsWith(".tgz"))
  if (tarball === undefined) throw new Error("npm pack made no tarball")
  const modules = join(folder, "node_modules")
  const home = join(modules, "ampsync")
  await mkdir(home, { recursive: true })
  const tar = spawn("tar", ["-xzf", join(folder, tarball), "-C", home, "--strip-components=1"], { stdio: "ignore" })
  const [status] = await once(tar, "close")
  if (status !== 0) throw new Error("the tarball cannot be unpacked")
  const manifest: PackageJson = JSON.parse(await readFile(join(home, "package.json"), "utf8"))
  const { dependencies, optionalDependencies, peerDependencies } = manifest
  for (const name of Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies })) {
    await link(modules, name)
  }
  await writeFile(join(folder, "package.json"), `{ "name": "app", "private": true, "type": "module" }`)
  // As npm does: a link of the command's name to the file, which it makes executable.
  const bin = join(modules, ".bin", "ampsync")
  await mkdir(dirname(bin))
  await chmod(join(home, manifest.bin["ampsync"]!), 0o755)
  await symlink(join(home, manifest.bin["ampsync"]!), bin)
  const entries = await readdir(home, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) =>
    join(entry.parentPath, entry.name).slice(home.length + 1)
  )
  return { folder, bin, tarball: join(folder, tarball), files }
}
