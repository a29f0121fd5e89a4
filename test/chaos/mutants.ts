/** Builds of the program that break a promise on purpose: the machine must find each. Nothing of this is in the program. */
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"

interface Replacement {
  readonly from: string
  readonly to: string
}

export interface Mutant {
  readonly name: string
  readonly what: string
  /** Options of the machine: schedules without a second process cannot find every mutant. */
  readonly options?: ReadonlyArray<string>
  readonly replacements: ReadonlyArray<Replacement>
}

export const mutants: ReadonlyArray<Mutant> = [
  {
    name: "I1",
    what: "rows are committed, and their checkpoint in another transaction after it",
    replacements: [{
      from: "}${statement}; COMMIT`",
      to: "}COMMIT; SELECT pg_sleep(0.02); ${statement}`"
    }]
  },
  {
    name: "I2",
    what: "the deletion of a reorg begins one block too late",
    replacements: [{
      from: "return beginRange({ ...state, history, unverifiedFrom }, range, [reorg(",
      to: "return beginRange({ ...state, history, unverifiedFrom }, range, " +
        "[((...of) => ({ ...reorg(...of), deleteFrom: of[1] + 1n }))("
    }]
  },
  {
    name: "I2-claim",
    what: "a range that replaces blocks is believed without a stored hash that proves where the chains meet",
    replacements: [{
      from: "const knewCursor = range.start < cursor.block;",
      to: "const unproved = newestBelow(state.history, range.start); " +
        "if (unproved !== void 0) return rewindTo(state, range, unproved); const knewCursor = range.start < cursor.block;"
    }]
  },
  {
    name: "I3",
    what: "the fence lets every session pass",
    options: ["--processes", "2"],
    replacements: [
      { from: "RETURNING 1) SELECT 1 / count(*) FROM held", to: "RETURNING 1) SELECT count(*) FROM held" },
      { from: "SELECT 1 / count(*)${notified} FROM held", to: "SELECT count(*)${notified} FROM held" }
    ]
  }
]

/** Copies the build of `main` into `directory` and breaks the copy; gives its `main.js`. Throws where a text is not there once. */
export const buildMutant = ({ name, replacements }: Mutant, main: string, directory: string): string => {
  cpSync(dirname(main), directory, { recursive: true, filter: (path) => !path.startsWith(join(dirname(main), "lib")) })
  const files = ["", "chunks"].flatMap((folder) =>
    readdirSync(join(directory, folder)).filter((file) => file.endsWith(".js")).map((file) =>
      join(directory, folder, file)
    )
  )
  for (const { from, to } of replacements) {
    const found = files.filter((file) => readFileSync(file, "utf8").includes(from))
    const [file] = found
    const parts = file === undefined ? [] : readFileSync(file, "utf8").split(from)
    if (file === undefined || found.length > 1 || parts.length !== 2) {
      throw new Error(`mutant ${name}: the build does not contain exactly once: ${from}`)
    }
    writeFileSync(file, parts.join(to))
  }
  return join(directory, "main.js")
}
