import { assert, describe, it } from "@effect/vitest"
import type { PublishedTable, ReplicationFacts } from "../../../src/domain/health/ReplicationFacts.ts"
import { replicationFinding } from "../../../src/domain/health/replicationFinding.ts"

const facts = (fields: Partial<ReplicationFacts> = {}): ReplicationFacts => ({
  walLevel: "logical",
  slots: 1,
  maxSlots: 10,
  maxSenders: 10,
  maxKeptBytes: undefined,
  idleSlots: [],
  ...fields
})

const blocks: PublishedTable = { table: "blocks", publication: "p", refusesDelete: false }

describe("replication is", () => {
  it("no matter where nothing is published", () => {
    assert.strictEqual(replicationFinding([], undefined, facts({ walLevel: "replica" })).outcome, "ok")
  })

  it("a problem where PostgreSQL would refuse the deletion of a reorg", () => {
    const { detail, outcome } = replicationFinding([{ ...blocks, refusesDelete: true }], "p", facts())
    assert.strictEqual(outcome, "problem")
    assert.include(detail, "table \"blocks\" in publication \"p\"")
  })

  it("a warning where nobody can follow: the rows are stored", () => {
    const { advice, detail, outcome } = replicationFinding([], "p", facts({ walLevel: "replica" }))
    assert.deepStrictEqual([outcome, detail, advice], [
      "warning",
      "wal_level is replica, so nobody can follow p",
      "set wal_level = logical and start PostgreSQL again"
    ])
    assert.strictEqual(replicationFinding([blocks], undefined, facts({ walLevel: "replica" })).outcome, "warning")
  })

  it("a warning where log is kept for a follower that is away", () => {
    const idle = (keptBytes: number | undefined, maxKeptBytes?: number) =>
      replicationFinding([blocks], "p", facts({ idleSlots: [{ name: "s", keptBytes }], maxKeptBytes }))
    assert.strictEqual(idle(undefined).outcome, "ok")
    assert.strictEqual(idle(1024 ** 2).outcome, "ok")
    assert.strictEqual(idle(2 * 1024 ** 3).outcome, "warning")
    assert.match(idle(2 * 1024 ** 3).detail, /slot "s", for which .* of log are kept: nothing limits it/)
    assert.match(idle(2 * 1024 ** 3, 4 * 1024 ** 3).detail, /a slot that needs more than .* is lost/)
  })

  it("a warning where every slot is taken", () => {
    assert.strictEqual(replicationFinding([blocks], "p", facts({ slots: 10 })).outcome, "warning")
  })
})
