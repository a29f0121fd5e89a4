/** What a check of a manifest that is repeated need not ask again. */
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { type ActiveConfig, compareConfigs } from "./ActiveConfig.ts"

/**
 * The tables of one manifest to which neither the server nor the database objected. Where the check is repeated they are not asked
 * about again, unless a table reads another version by then.
 */
export class CheckedTables {
  private resolved: ActiveConfig | undefined
  private names: ReadonlySet<string> = new Set()

  /** Forgets the tables that are others in `next`. */
  resolve(next: ActiveConfig): void {
    const before = this.resolved
    // Versions are not known on one side, and then count as no difference.
    const isComparable = (before?.sources === undefined) === (next.sources === undefined)
    const { unchanged } = compareConfigs(before, next)
    this.names = new Set(isComparable ? unchanged.map(({ name }) => name).filter((name) => this.names.has(name)) : [])
    this.resolved = next
  }

  has({ name }: TableSpec): boolean {
    return this.names.has(name)
  }

  add({ name }: TableSpec): void {
    this.names = new Set([...this.names, name])
  }
}
