/** How far the tables of a schema are, as its bookkeeping has it, and whether readers of one would go back in another. */

export interface TablePosition {
  readonly table: string
  readonly network: string
  /** The watermark. */
  readonly block: bigint
}

/** The newest block that all tables of a dataset have. */
export interface LatestPosition {
  readonly network: string
  readonly block: bigint
  readonly tables: ReadonlyArray<string>
}

export interface Position {
  readonly schema: string
  readonly tables: ReadonlyArray<TablePosition>
  readonly latest: ReadonlyArray<LatestPosition>
}

const blockOf = (block: bigint | undefined): string => block === undefined ? "no block" : `block ${block}`

/**
 * Why readers of `shown` would see older blocks in `next`; undefined where they would not. Only `tables` count, and only where both
 * have blocks of the same network.
 */
export const whyBehind = (
  shown: Position,
  next: Position,
  tables: ReadonlyArray<string>
): string | undefined => {
  const [counts, networks] = [new Set(tables), new Set(next.tables.map(({ network }) => network))]
  for (const { block, network, table } of shown.tables) {
    if (!counts.has(table) || !networks.has(network)) continue
    const reached = next.tables.find((other) => other.table === table && other.network === network)?.block
    if (reached === undefined || reached < block) {
      return `table "${table}" is complete up to ${
        blockOf(reached)
      } in schema "${next.schema}", and readers see block ${block} of ` +
        `schema "${shown.schema}"`
    }
  }
  for (const { block, network, tables: shared } of shown.latest) {
    const wanted = shared.filter((table) => counts.has(table))
    if (wanted.length === 0 || !networks.has(network)) continue
    const reached = next.latest.filter((other) =>
      other.network === network && other.tables.some((table) => wanted.includes(table))
    ).map((other) => other.block)
    const lowest = reached.length === 0 ? undefined : reached.reduce((a, b) => a < b ? a : b)
    if (lowest === undefined || lowest < block) {
      return `the tables of network ${network} are all complete up to ${
        blockOf(lowest)
      } in schema "${next.schema}", and up to block ` +
        `${block} in schema "${shown.schema}", which readers see`
    }
  }
  return undefined
}
