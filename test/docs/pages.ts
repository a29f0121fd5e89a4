/** The documentation as tests read it: every page of the repository, with its headings, links and examples. */
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, normalize, relative } from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url))

/** An example: a fenced block of a page. */
export interface Example {
  /** `docs/database.md:41`, for messages. */
  readonly place: string
  /** `docs/database.md#views`: the heading it is below, whose name stays when lines are added above. */
  readonly section: string
  readonly language: string
  readonly text: string
}

export interface Link {
  readonly place: string
  /** Path from the root of the repository; that of the page itself where the link names an anchor only. */
  readonly path: string
  readonly anchor: string | undefined
}

export interface Page {
  /** From the root of the repository, such as `docs/types.md`. */
  readonly path: string
  readonly text: string
  readonly lines: number
  readonly anchors: ReadonlySet<string>
  /** Without those to other sites. */
  readonly links: ReadonlyArray<Link>
  readonly examples: ReadonlyArray<Example>
}

/** The anchor that GitHub gives a heading. */
export const anchorOf = (heading: string): string =>
  heading.trim().toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(/\s/g, "-")

const FENCE = /^ *```+ *(\S*)/

const readPage = (path: string): Page => {
  const text = readFileSync(join(root, path), "utf8")
  const anchors = new Set<string>()
  const links: Array<Link> = []
  const examples: Array<Example> = []
  let open: { readonly line: number; readonly language: string; readonly text: Array<string> } | undefined
  const lines = text.split("\n")
  for (const [index, line] of lines.entries()) {
    const fence = FENCE.exec(line)
    if (open !== undefined) {
      if (fence === null) open.text.push(line)
      else {
        const { language, line, text } = open
        const section = `${path}#${[...anchors].at(-1) ?? ""}`
        examples.push({ place: `${path}:${line}`, section, language, text: text.join("\n") })
        open = undefined
      }
      continue
    }
    if (fence !== null) {
      open = { line: index + 1, language: fence[1]!, text: [] }
      continue
    }
    const heading = /^#+ (.*)$/.exec(line)
    if (heading !== null) {
      const anchor = anchorOf(heading[1]!)
      let unique = anchor
      for (let n = 1; anchors.has(unique); n++) unique = `${anchor}-${n}`
      anchors.add(unique)
    }
    for (const [, target] of line.replaceAll(/`[^`]*`/g, "").matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue
      const [file, anchor] = target!.split("#")
      links.push({
        place: `${path}:${index + 1}`,
        path: file === "" ? path : normalize(join(dirname(path), file!)),
        anchor
      })
    }
  }
  return { path, text, lines: lines.length - 1, anchors, links, examples }
}

const markdownIn = (directory: string): ReadonlyArray<string> =>
  readdirSync(join(root, directory), { recursive: true, encoding: "utf8" })
    .map((path) => relative(root, join(root, directory, path)))
    .filter((path) => path.endsWith(".md"))

const paths = [
  ...readdirSync(root).filter((path) => path.endsWith(".md")),
  ...markdownIn("docs"),
  ...markdownIn("examples")
].toSorted()

export const pages: ReadonlyArray<Page> = paths.map(readPage)

export const pageOf = (path: string): Page => {
  const page = pages.find((page) => page.path === path)
  if (page === undefined) throw new Error(`there is no page ${path}`)
  return page
}

/** What users run and copy: the examples of README.md and docs. */
export const examplesIn = (...languages: ReadonlyArray<string>): ReadonlyArray<Example> =>
  pages.filter(({ path }) => path === "README.md" || path.startsWith("docs/"))
    .flatMap(({ examples }) => examples)
    .filter(({ language }) => languages.includes(language))

/** Rows of the tables of a page below the heading `anchor`, up to the next heading; cells trimmed, the head left out. */
export const tableRows = ({ text }: Page, anchor: string): ReadonlyArray<ReadonlyArray<string>> => {
  const lines = text.split("\n")
  const start = lines.findIndex((line) => line.startsWith("#") && anchorOf(line.replace(/^#+ /, "")) === anchor)
  if (start < 0) throw new Error(`there is no heading #${anchor}`)
  const end = lines.findIndex((line, index) => index > start && line.startsWith("#"))
  const rows = lines.slice(start, end < 0 ? undefined : end).filter((line) => line.startsWith("| "))
  return rows
    .map((line) =>
      line.slice(1, -1).replaceAll("\\|", "\0").split("|").map((cell) => cell.trim().replaceAll("\0", "|"))
    )
    .filter((_, index) => index > 1)
}
