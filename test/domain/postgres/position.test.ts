import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { ArrowField, ArrowType } from "../../../src/domain/arrow/ArrowSchema.ts"
import { choosePosition } from "../../../src/domain/postgres/table/position.ts"
import { planColumns } from "../../../src/domain/postgres/types/PgType.ts"
import { field } from "../arrow/columns.ts"

const int = (bits: 8 | 16 | 32 | 64, signed: boolean) => ({ kind: "int", bits, signed }) as const
const dictionary = (value: ArrowType): ArrowType => ({ kind: "dictionary", id: 0n, index: int(8, true), value })
const runs = (value: ArrowType): ArrowType => ({
  kind: "runEndEncoded",
  runEnds: field("run_ends", int(32, true), false),
  values: field("values", value, false)
})

const choose = (...fields: ReadonlyArray<ArrowField>) => choosePosition(Result.getOrThrow(planColumns({ fields })))

describe("the position of a row", () => {
  it("is _block_num, else block_num, else the end of the range", () => {
    const both = choose(field("block_num", int(64, false)), field("_block_num", int(64, false)))
    assert.deepStrictEqual(
      both,
      Result.succeed({
        position: { kind: "column", index: 1, name: "_block_num" },
        column: "_block_num"
      })
    )
    const one = choose(field("a", int(8, true)), field("block_num", int(32, false)))
    assert.deepStrictEqual(
      one,
      Result.succeed({
        position: { kind: "column", index: 1, name: "block_num" },
        column: "block_num"
      })
    )
    const none = choose(field("block_num", { kind: "utf8", offsets: 32 }))
    assert.deepStrictEqual(none, Result.succeed({ position: { kind: "rangeEnd" }, column: "_range_end" }))
  })

  it("is rejected where _block_num is no integer", () => {
    const reason = Result.getOrThrow(Result.flip(choose(field("_block_num", { kind: "utf8", offsets: 32 }))))
    assert.include(reason, "its type is no integer")
  })

  it("is rejected, with the CAST that helps, where block numbers come as a dictionary or as runs", () => {
    for (const name of ["_block_num", "block_num"]) {
      for (const integer of [int(64, true), int(64, false), int(32, false)]) {
        for (const type of [dictionary(integer), runs(integer), runs(dictionary(integer))]) {
          const reason = Result.getOrThrow(Result.flip(choose(field(name, type, false))))
          assert.include(reason, `column "${name}"`)
          assert.include(reason, `use CAST("${name}" AS BIGINT) AS "${name}" in the query`)
        }
      }
    }
  })
})
