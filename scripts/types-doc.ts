/** The text of docs/types.md, made from the tables of the encoder. */
import { Result } from "effect"
import type { ArrowField, ArrowType } from "../src/domain/arrow/ArrowSchema.ts"
import { formatArrowType } from "../src/domain/arrow/formatArrowType.ts"
import { formatOverrideType, overrideKinds, type OverrideType } from "../src/domain/postgres/types/columnOverride.ts"
import { planColumns } from "../src/domain/postgres/types/PgType.ts"

const field = (name: string, type: ArrowType): ArrowField => ({ name, type, nullable: true })
const units = ["second", "millisecond", "microsecond", "nanosecond"] as const
const decimals = [[32, 9, 2], [64, 18, 6], [128, 38, 0], [128, 38, 18], [256, 76, 0], [256, 76, 40], [128, 20, -3], [
  128,
  2,
  5
]] as const
const utf8: ArrowType = { kind: "utf8", offsets: 32 }
const int32: Extract<ArrowType, { kind: "int" }> = { kind: "int", bits: 32, signed: true }
const address: ArrowType = { kind: "fixedSizeBinary", width: 20 }
const struct: ArrowType = { kind: "struct", fields: [field("address", address), field("amount", int32)] }

/** At least one type of every kind: the compiler misses a kind that is not there. */
const samples: { readonly [K in ArrowType["kind"]]: ReadonlyArray<Extract<ArrowType, { kind: K }>> } = {
  bool: [{ kind: "bool" }],
  int: ([8, 16, 32, 64] as const).flatMap((bits) =>
    [true, false].map((signed) => ({ kind: "int" as const, bits, signed }))
  ),
  float: ([16, 32, 64] as const).map((bits) => ({ kind: "float", bits })),
  decimal: decimals.map(([bits, precision, scale]) => ({ kind: "decimal", bits, precision, scale })),
  utf8: ([32, 64, "view"] as const).map((offsets) => ({ kind: "utf8", offsets })),
  binary: ([32, 64, "view"] as const).map((offsets) => ({ kind: "binary", offsets })),
  fixedSizeBinary: [{ kind: "fixedSizeBinary", width: 32 }],
  date: (["day", "millisecond"] as const).map((unit) => ({ kind: "date", unit })),
  time: units.map((unit, index) => ({ kind: "time", bits: index < 2 ? 32 : 64, unit })),
  timestamp: units.flatMap((unit) =>
    [undefined, "+00:00"].map((timezone) => ({ kind: "timestamp" as const, unit, timezone }))
  ),
  duration: units.map((unit) => ({ kind: "duration", unit })),
  interval: (["yearMonth", "dayTime", "monthDayNano"] as const).map((unit) => ({ kind: "interval", unit })),
  list: [
    ...([32, 64, "view32", "view64"] as const).map((offsets) => ({
      kind: "list" as const,
      offsets,
      item: field("item", utf8)
    })),
    { kind: "list", offsets: 32, item: field("item", { kind: "list", offsets: 32, item: field("item", utf8) }) },
    { kind: "list", offsets: 32, item: field("item", struct) }
  ],
  fixedSizeList: [{ kind: "fixedSizeList", size: 4, item: field("item", int32) }],
  struct: [struct],
  map: [
    { kind: "map", key: field("key", utf8), value: field("value", int32), keysSorted: false },
    { kind: "map", key: field("key", struct), value: field("value", int32), keysSorted: false }
  ],
  dictionary: [{ kind: "dictionary", id: 0n, index: int32, value: utf8 }],
  union: (["dense", "sparse"] as const).map((mode) => ({
    kind: "union",
    mode,
    typeIds: [0, 1],
    fields: [field("a", int32), field("b", utf8)]
  })),
  runEndEncoded: [{ kind: "runEndEncoded", runEnds: field("run_ends", int32), values: field("values", utf8) }],
  null: [{ kind: "null" }]
}

const homeOf = (name: string, type: ArrowType): string =>
  Result.match(planColumns({ fields: [field(name, type)] }), {
    onSuccess: ([column]) => `\`${column!.type}\``,
    onFailure: ({ columns }) => `refused: ${columns[0]!.reason}`
  })

const wide: Readonly<Record<OverrideType["kind"], OverrideType>> = {
  bigint: { kind: "bigint" },
  text: { kind: "text" },
  numeric: { kind: "numeric", digits: undefined }
}

/** What a config may make of the column, each asked for as a config would. */
const othersOf = (type: ArrowType): string => {
  const own = homeOf("value", type)
  const allowed = overrideKinds(type).filter((kind) => {
    const planned = planColumns({ fields: [field("value", type)] }, [{ column: "value", type: wide[kind] }])
    return Result.isSuccess(planned) && own !== `\`${formatOverrideType(wide[kind])}\``
  })
  return allowed.map((kind) => kind === "numeric" ? "`numeric`, `numeric(p,s)`" : `\`${kind}\``).join(", ")
}

const row = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

const table = [
  row(["Arrow", "PostgreSQL", "`columns` in the config may make it"]),
  row(["---", "---", "---"]),
  row([
    "`_block_num`, `block_num` of any integer type",
    homeOf("block_num", { kind: "int", bits: 64, signed: false }),
    ""
  ]),
  ...Object.values(samples).flat().map((type: ArrowType) =>
    row([`\`${formatArrowType(type)}\``, homeOf("value", type), othersOf(type)])
  )
]

export const typesDoc = `# Types

Made from the code by \`npm run docs\`; a test fails when it is not current.

Every value is stored exactly or not at all: one that its column cannot hold parks the table, with the column and the block
and never the value. A type without a lossless PostgreSQL type is rejected at the start, with the column's name.

${table.join("\n")}

## What the types leave open

- Decimals are exact at every scale. A negative scale becomes digits before the point.
- Nanoseconds are cut down to microseconds, towards the past; what lies beyond the range of PostgreSQL's types is refused.
- A NUL character in a text is refused, unless \`TEXT_NUL=replace\` puts U+FFFD in its place.
- Inside of JSONB binary is \`"0x..."\`, integers and decimals keep all their digits.
- Dictionaries and runs are stored as the values they stand for.

## Giving a column another type

\`columns: { value: { type: "numeric(78,0)" } }\` in the entry of a table. What is checked, on every value:

| to | from | how |
| --- | --- | --- |
| \`numeric\`, \`numeric(p,s)\` | text | a sign, digits and one point, as in \`-12.50\`; no exponent, no spaces. More digits than \`p\` and \`s\` leave room for are refused, never rounded |
| | integers of 32 and 64 bits, decimals | more digits before the point than fit are refused; a smaller \`s\` than the decimal's is refused at the start |
| \`bigint\` | integers, decimals, text | whole numbers from -2^63 to 2^63-1 |
| \`text\` | binary | \`0x\` and lower-case hexadecimal digits |

Block numbers are always \`bigint\`. A column that is a dictionary or run-end encoded is treated as its values are.
`
