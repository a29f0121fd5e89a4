/**
 * Checks the import arrows of ARCHITECTURE.md: `node scripts/check-layering.mjs [root]`.
 *
 * Prints every violation as `file:line: sentence` and exits 1; else prints a count.
 */
import { readdirSync, readFileSync } from "node:fs"
import { isBuiltin } from "node:module"
import { basename, dirname, join, posix, relative, resolve, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { scanModule } from "./scan-module.mjs"

/** Which rooms a room may import from; its own room is named too where files in it may know each other. */
const ARROWS = {
  main: ["programs", "services", "domain"],
  index: ["programs", "services", "domain"],
  config: ["domain"],
  programs: ["programs", "services", "domain"],
  layers: ["services", "domain"],
  services: ["services", "domain"],
  simulator: ["simulator", "domain"],
  demo: ["demo", "programs", "layers", "services", "domain", "simulator"],
  domain: ["domain"]
}

/** The programs that put live parts together: the root, the command line with a file for each verb, and verbs. */
const ROOTS = [
  "start",
  "begin",
  "ampsync",
  "operations",
  "cli",
  "cli/*",
  "verbs/simulate",
  "verbs/plan",
  "verbs/removal",
  "verbs/status/*",
  "verbs/doctor/*"
]
const ROOT_ARROWS = [...ARROWS.programs, "layers", "simulator", "demo"]

/** The rooms that may use drivers, `node:*` and `process`. */
const OUTSIDE = new Set(["layers", "simulator", "demo"])
const DRIVERS = new Set(["pg", "pg-copy-streams", "@grpc/grpc-js"])

const roomOf = (file) => {
  const [, first, ...rest] = file.split("/")
  return rest.length > 0 ? first : basename(first, ".ts")
}

const isRoot = (file) => ROOTS.some((root) => [file, `${posix.dirname(file)}/*.ts`].includes(`src/programs/${root}.ts`))

const kebab = (name) => name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, "-").toLowerCase()

/** The subfolders of `layers` that a file there may use: its own, or those named after the layer. */
const layerFolders = (file) => {
  const [, , first, ...rest] = file.split("/")
  if (rest.length > 0) return [first]
  const name = kebab(basename(first, ".ts"))
  return [name, name.split("-")[0]]
}

const isOwnPart = (file, target) => {
  const [, , folder, ...rest] = target.split("/")
  return rest.length > 0 && layerFolders(file).includes(folder)
}

const importProblem = (file, target) => {
  const [from, to] = [roomOf(file), roomOf(target)]
  if (from === "layers" && to === "layers") {
    return isOwnPart(file, target) ? undefined : `a layer requires tags, never another layer: ${target}`
  }
  const allowed = isRoot(file) ? ROOT_ARROWS : ARROWS[from]
  if (allowed.includes(to)) return undefined
  if (from === "programs" && ROOT_ARROWS.includes(to)) {
    return `only ${ROOTS.join(", ")} among the programs may import ${to}: ${target}`
  }
  return `${from} may import only ${allowed.join(", ")}: ${target}`
}

const packageProblem = (room, specifier) => {
  if (specifier === "ampsync" || specifier.startsWith("ampsync/")) {
    return `our own package is imported by its name; use a relative path: ${specifier}`
  }
  if (room === "services" && !/^effect(?:\/|$)/.test(specifier)) {
    return `services may import only domain and effect: ${specifier}`
  }
  if (!OUTSIDE.has(room) && (isBuiltin(specifier) || DRIVERS.has(specifier))) {
    return `only layers, the simulator and the demo may import ${specifier}`
  }
  return undefined
}

const processProblem = (room, member) =>
  OUTSIDE.has(room) || (room === "main" && member === "argv")
    ? undefined
    : `only layers, the simulator and the demo may use process.${member}`

/** The problems of one file, and the files of `src` that it imports. */
const examine = (file, source, files) => {
  const room = roomOf(file)
  if (ARROWS[room] === undefined) return { problems: [{ line: 1, text: `src has no room "${room}"` }], edges: [] }
  const problems = []
  const edges = []
  const { imports, processUses } = scanModule(source)
  const report = (line, text) => text === undefined || problems.push({ line, text })
  for (const { line, specifier } of imports) {
    if (!specifier.startsWith(".")) {
      report(line, packageProblem(room, specifier))
      continue
    }
    const target = posix.join(posix.dirname(file), specifier)
    if (!files.has(target)) report(line, `imports ${specifier}, which is no file of src`)
    else {
      edges.push({ line, target })
      report(line, importProblem(file, target))
    }
  }
  for (const { line, member } of processUses) report(line, processProblem(room, member))
  return { problems, edges }
}

/** One problem per import that closes a cycle, found by a depth-first walk. */
const cycleProblems = (edgesOf) => {
  const problems = []
  const done = new Set()
  const visit = (file, path) => {
    for (const { line, target } of edgesOf.get(file)) {
      const start = [...path, file].indexOf(target)
      if (start >= 0) {
        const cycle = [...path, file].slice(start)
        problems.push({ file, line, text: `this import closes a cycle: ${[...cycle, target].join(" -> ")}` })
      } else if (!done.has(target)) visit(target, [...path, file])
    }
    done.add(file)
  }
  for (const file of edgesOf.keys()) if (!done.has(file)) visit(file, [])
  return problems
}

const sourcesBelow = (root) =>
  readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.m?ts$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort()

const root = resolve(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), ".."))
const files = new Set(sourcesBelow(root))
const examined = new Map([...files].map((file) => [file, examine(file, readFileSync(join(root, file), "utf8"), files)]))
const edgesOf = new Map([...examined].map(([file, { edges }]) => [file, edges]))
const problems = [
  ...[...examined].flatMap(([file, found]) => found.problems.map((problem) => ({ file, ...problem }))),
  ...cycleProblems(edgesOf)
]
for (const { file, line, text } of problems) console.error(`${file}:${line}: ${text}`)
if (problems.length > 0) process.exitCode = 1
else {
  const imports = [...edgesOf.values()].flat().length
  console.log(`layering: ${files.size} files, ${imports} imports between them, all arrows point the right way`)
}
