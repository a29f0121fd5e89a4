/**
 * Tables of the decoded events of an ABI, for use in config files.
 *
 * Names and queries are those of the servers' packages, so that a config means the same with and without them; where those
 * names collide, each table gets a name of its own here.
 */

import { fingerprint } from "../fingerprint.ts"
import { MAX_IDENTIFIER_BYTES } from "../postgres/table/identifiers.ts"
import { sqlIdentifier } from "./Dataset.ts"

/** An input of an event, or a field of a tuple. Source: Solidity, "Contract ABI Specification", JSON. */
export interface AbiParameter {
  readonly name?: string
  readonly type: string
  readonly indexed?: boolean
  /** Of a tuple. */
  readonly components?: ReadonlyArray<AbiParameter>
}

/** An event of a JSON ABI. */
export interface AbiEvent {
  readonly type: "event"
  readonly name: string
  readonly inputs?: ReadonlyArray<AbiParameter>
  readonly anonymous?: boolean
}

/** A JSON ABI; items other than events are ignored. */
export type Abi = ReadonlyArray<AbiEvent | { readonly type: string }>

/** A table of a config: its query. */
export interface EventTable {
  readonly sql: string
}

/** The columns of every event table besides the inputs of the event. */
const COMMON = ["block_hash", "tx_hash", "address", "block_num", "timestamp"]
/** Columns that ampsync reads or adds. */
const RESERVED: ReadonlySet<string> = new Set([...COMMON, "_block_num", "_row_index", "_range_end"])

/** `TransferSingle` -> `transfer_single`: each capital becomes `_` and its lower case letter, the first one without `_`. */
export const camelToSnake = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter, at: number) => `${at === 0 ? "" : "_"}${letter.toLowerCase()}`)

/** The name of an event's table, where no other event of the ABI has the same name. */
export const eventTableName = (event: AbiEvent): string => camelToSnake(event.name)

/** The query with one row per log of the event: the common columns, and each input under its name in snake case. */
export const eventQuery = (event: AbiEvent, source = "anvil"): string => {
  const signature = signatureOf(event).replaceAll("'", "''")
  const common = COMMON.join(", ")
  const inputs = inputsOf(event).map(({ column, field }) => `, e.event['${field.replaceAll("'", "''")}'] AS ${column}`)
  return `SELECT ${common}${inputs.join("")} FROM (` +
    `SELECT ${common}, evm_decode_log(topic1, topic2, topic3, data, '${signature}') AS event ` +
    `FROM ${source}.logs WHERE topic0 = evm_topic('${signature}')) AS e`
}

/** The entry of `tables` for an event. */
export const eventTable = (event: AbiEvent, source?: string): EventTable => ({ sql: eventQuery(event, source) })

/**
 * One table per event of `abi`, read from the logs of `source`, an alias of the config's dependencies.
 *
 * The tables of events of the same name have the types of their inputs in their names. Anonymous events get no table, because
 * no topic identifies their logs. `warn` is called with a sentence for each table and column whose name is not that of the ABI.
 */
export const eventTables = (
  abi: Abi,
  source?: string,
  warn: (sentence: string) => void = (sentence) => console.warn(sentence)
): Record<string, EventTable> => {
  const events = abi.filter(isEvent)
  const tables: Record<string, EventTable> = {}
  for (const event of events) {
    if (event.anonymous === true) {
      warn(`eventTables: event ${event.name} is anonymous, so no topic identifies its logs; it has no table`)
      continue
    }
    const isOverloaded = events.filter((other) => eventTableName(other) === eventTableName(event)).length > 1
    const plain = isOverloaded ? overloadName(event) : eventTableName(event)
    const name = Object.hasOwn(tables, plain) ? uniqueName(plain, event) : plain
    if (isOverloaded) {
      warn(`eventTables: several events are called ${event.name}; ${signatureOf(event)} is table "${name}"`)
    }
    if (!isOverloaded && name !== plain) {
      warn(`eventTables: another event has table "${plain}"; ${signatureOf(event)} is table "${name}"`)
    }
    for (const { column, field, given } of inputsOf(event)) {
      if (column !== columnName(given)) {
        warn(`eventTables: input "${given}" (${field}) of event ${event.name} is column ${column}`)
      }
    }
    tables[name] = eventTable(event, source)
  }
  return tables
}

const isEvent = (item: Abi[number]): item is AbiEvent => item.type === "event" && "name" in item

/** The table name of an overloaded event; it does not depend on the order of events in the ABI. */
const overloadName = (event: AbiEvent): string => {
  const types = (event.inputs ?? []).map((input) => typeOf(input, "").replaceAll(/[^a-z0-9]+/gi, "_"))
  return [eventTableName(event), ...types].join("_").slice(0, MAX_IDENTIFIER_BYTES)
}

/** A name that differs from the table of another event, by a hash of the signature. */
const uniqueName = (name: string, event: AbiEvent): string =>
  `${name.slice(0, MAX_IDENTIFIER_BYTES - 9)}_${fingerprint(signatureOf(event)).slice(0, 8)}`

interface Input {
  /** Its name in the ABI; empty where it has none. */
  readonly given: string
  /** Its name in the signature. */
  readonly field: string
  /** Its column in SQL. */
  readonly column: string
}

/** The inputs of an event, with distinct columns that are none of `RESERVED`. */
const inputsOf = (event: AbiEvent): ReadonlyArray<Input> => {
  const fields = fieldNames(event)
  const taken = new Set(RESERVED)
  return (event.inputs ?? []).map(({ name: given = "" }, index) => {
    const field = fields[index]!
    const plain = camelToSnake(field)
    const unique = [plain, `event_${plain}`, `event_${plain}_${index}`].find((name) => !taken.has(name))!
    taken.add(unique)
    return { given, field, column: sqlIdentifier(unique) }
  })
}

/** The names of the inputs in the signature. They do not change its hash, so missing and duplicate ones are made up. */
const fieldNames = (event: AbiEvent): ReadonlyArray<string> => {
  const names: Array<string> = []
  for (const [index, { name = "" }] of (event.inputs ?? []).entries()) {
    names.push(name === "" || names.includes(name) ? `arg${index}` : name)
  }
  return names
}

const columnName = (given: string): string => sqlIdentifier(camelToSnake(given))

/** `Transfer(address indexed from, address indexed to, uint256 value)`. */
const signatureOf = (event: AbiEvent): string => {
  const names = fieldNames(event)
  const inputs = (event.inputs ?? []).map((input, index) =>
    [typeOf(input), ...(input.indexed === true ? ["indexed"] : []), names[index]].join(" ")
  )
  return `${event.name}(${inputs.join(", ")})`
}

/** A tuple as the list of its fields: `(uint8 a, (string c)[] b)[2]`. */
const typeOf = ({ components, type }: AbiParameter, separator = ", "): string => {
  if (components === undefined || !type.startsWith("tuple")) return type
  const fields = components.map((field) =>
    [typeOf(field, separator), field.name ?? ""].filter((_) => _ !== "").join(" ")
  )
  return `(${fields.join(separator)})${type.slice("tuple".length)}`
}
