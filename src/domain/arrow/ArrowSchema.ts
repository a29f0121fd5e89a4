/**
 * Logical types and fields of Arrow data, whether a schema came as IPC or as JSON.
 *
 * Source: Apache Arrow, format/Schema.fbs.
 */

export type TimeUnit = "second" | "millisecond" | "microsecond" | "nanosecond"

/** One Arrow logical type. `bits` is the width of a value, `offsets` that of the offsets that delimit values. */
export type ArrowType =
  | { readonly kind: "null" }
  | { readonly kind: "bool" }
  | { readonly kind: "int"; readonly bits: 8 | 16 | 32 | 64; readonly signed: boolean }
  | { readonly kind: "float"; readonly bits: 16 | 32 | 64 }
  | {
    readonly kind: "decimal"
    readonly bits: 32 | 64 | 128 | 256
    readonly precision: number
    readonly scale: number
  }
  | { readonly kind: "utf8"; readonly offsets: 32 | 64 | "view" }
  | { readonly kind: "binary"; readonly offsets: 32 | 64 | "view" }
  | { readonly kind: "fixedSizeBinary"; readonly width: number }
  | { readonly kind: "date"; readonly unit: "day" | "millisecond" }
  | { readonly kind: "time"; readonly bits: 32 | 64; readonly unit: TimeUnit }
  | { readonly kind: "timestamp"; readonly unit: TimeUnit; readonly timezone: string | undefined }
  | { readonly kind: "duration"; readonly unit: TimeUnit }
  | { readonly kind: "interval"; readonly unit: "yearMonth" | "dayTime" | "monthDayNano" }
  | { readonly kind: "list"; readonly offsets: 32 | 64 | "view32" | "view64"; readonly item: ArrowField }
  | { readonly kind: "fixedSizeList"; readonly size: number; readonly item: ArrowField }
  | { readonly kind: "struct"; readonly fields: ReadonlyArray<ArrowField> }
  | { readonly kind: "map"; readonly key: ArrowField; readonly value: ArrowField; readonly keysSorted: boolean }
  | {
    readonly kind: "dictionary"
    /** The id of its dictionary batches; 0 where the schema came as JSON. */
    readonly id: bigint
    readonly index: Extract<ArrowType, { kind: "int" }>
    readonly value: ArrowType
  }
  | {
    readonly kind: "union"
    readonly mode: "sparse" | "dense"
    readonly typeIds: ReadonlyArray<number>
    readonly fields: ReadonlyArray<ArrowField>
  }
  | { readonly kind: "runEndEncoded"; readonly runEnds: ArrowField; readonly values: ArrowField }

export interface ArrowField {
  readonly name: string
  readonly type: ArrowType
  readonly nullable: boolean
}

export interface ArrowSchema {
  readonly fields: ReadonlyArray<ArrowField>
}
