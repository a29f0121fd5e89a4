import { assert, describe, it } from "@effect/vitest"
import { type ActiveConfig, compareConfigs } from "../../../src/programs/reload/ActiveConfig.ts"
import type { DatasetInfo } from "../../../src/services/AdminApi.ts"
import { activeConfigOf } from "../../doubles/activeConfig.ts"
import { exampleManifest } from "../../support/exampleManifest.ts"

const configOf = (config: object = {}, info: Partial<DatasetInfo> = {}): ActiveConfig =>
  activeConfigOf(
    exampleManifest({
      network: "anvil",
      tables: { a: { sql: "SELECT block_num FROM anvil.blocks" }, b: { sql: "SELECT * FROM anvil.logs" } },
      ...config
    }),
    { dialect: "amp", namespace: "_", name: "example", version: "0.1.0", tables: [], ...info }
  )

const difference = (next: ActiveConfig, current = configOf()) => {
  const { changed, removed, started, unchanged } = compareConfigs(current, next)
  const names = (tables: ReadonlyArray<{ readonly name: string }>) => tables.map(({ name }) => name).join()
  return { changed: names(changed), removed: removed.join(), started: names(started), unchanged: names(unchanged) }
}

const all = { changed: "a,b", removed: "", started: "", unchanged: "" }
const none = { changed: "", removed: "", started: "", unchanged: "a,b" }

describe("what differs between two configs", () => {
  it("is every table where the dataset is another one, or the server speaks the other dialect", () => {
    assert.deepStrictEqual(difference(configOf()), none)
    assert.deepStrictEqual(difference(configOf({ name: "other" })), all)
    assert.deepStrictEqual(difference(configOf({ namespace: "ours" })), all)
    assert.deepStrictEqual(difference(configOf({}, { dialect: "nozzle" })), all)
  })

  it("is every table where a new version was published and the config names none, and no table where it names one", () => {
    const published = { version: "0.2.0" }
    assert.deepStrictEqual(difference(configOf({}, published)), all)
    for (const version of ["latest", "dev"]) {
      assert.deepStrictEqual(difference(configOf({ version }, published), configOf({ version })), all, version)
    }
    const exact = () => configOf(published, published)
    assert.deepStrictEqual(difference(exact(), exact()), none)
  })

  it("is none where the server was not asked what the one or the other reads", () => {
    const unasked = { ...configOf(), dialect: undefined, info: undefined, sources: undefined }
    assert.deepStrictEqual(difference(unasked), none)
    assert.deepStrictEqual(difference(configOf({}, { version: "0.2.0" }), unasked), none)
    assert.deepStrictEqual(difference({ ...configOf({ name: "other" }), sources: undefined }), all)
  })

  it("is a table whose query or settings changed, and none whose query is only written otherwise", () => {
    const [a, b] = [{ sql: "SELECT block_num FROM anvil.blocks" }, { sql: "SELECT * FROM anvil.logs" }]
    const next = (tables: object) => difference(configOf({ tables }))
    assert.deepStrictEqual(next({ a: { sql: "select block_num -- the number\nFROM anvil.blocks" }, b }), none)
    assert.strictEqual(next({ a: { sql: "SELECT block_num, hash FROM anvil.blocks" }, b }).changed, "a")
    for (
      const settings of [
        { comment: "for people" },
        { primaryKey: ["block_num"] },
        { columns: { hash: { type: "text" } } },
        { indexes: [["block_num"]] }
      ]
    ) {
      const { changed, unchanged } = next({ a: { ...a, ...settings }, b })
      assert.deepStrictEqual([changed, unchanged], ["a", "b"], JSON.stringify(settings))
    }
    assert.deepStrictEqual(next({ b, c: a }), { changed: "", removed: "a", started: "c", unchanged: "b" })
  })
})
