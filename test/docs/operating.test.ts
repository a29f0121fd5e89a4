import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Phase } from "../../src/domain/TablePhase.ts"
import { pageOf, root, tableRows } from "./pages.ts"

const page = pageOf("docs/operating.md")

const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => readFileSync(join(root, "src", path), "utf8"))
  .join("\n")

describe("docs/operating.md", () => {
  it("quotes messages as the code has them", () => {
    // Texts that go on in the next line.
    const texts = sources.replaceAll(/["`]\s*\+\s*["`]/g, "")
      .replaceAll(/\\"/g, "\"")
    const quoted = [
      "settings-and-config-file",
      "connections",
      "tables-that-are-refused-or-parked",
      "tables-that-are-tried-again",
      "messages-of-resync"
    ]
      .flatMap((anchor) => tableRows(page, anchor))
      .flatMap(([message]) => [...message!.matchAll(/`([^`]+)`/g)].map(([, text]) => text!))
    // Names of variables and numbers are filled in, as what the dots stand for.
    const parts = quoted.flatMap((text) => text.split(/\.\.\.|\b[A-Z]+_[A-Z_]+\b|\b\d+\b|\bLIMIT\b/)).map((part) =>
      part.replaceAll(/^[\s;:"]+|[\s;:"?]+$/g, "")
    )
    assert.deepStrictEqual(parts.filter((part) => part.length > 3 && !texts.includes(part)), [])
  })

  it("has every state of a table", () => {
    const phases: Readonly<Record<Phase, true>> = {
      starting: true,
      "catching up": true,
      "building indexes": true,
      "caught up": true,
      standby: true,
      searching: true,
      diverged: true,
      retrying: true,
      stalled: true,
      parked: true
    }
    const view = readFileSync(join(root, "src/layers/bookkeeping/ddl.ts"), "utf8")
    const silent = /coalesce\(s\.state, '([^']+)'\)/.exec(view)?.[1]
    const states = [...Object.keys(phases), "removed", "stopped", silent].map((state) => `\`${state}\``)
    assert.sameMembers(tableRows(page, "states").map(([state]) => state!), states)
  })
})
