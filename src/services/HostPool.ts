/**
 * The part of a `Pool` of the package `pg`, version 8.21 or later, that ampsync uses of a host program's own pool.
 *
 * Declared here, so that a host needs no types of `pg` to compile against ampsync.
 */
export interface HostPool {
  /** The options the pool was created with; `max` is 10 where absent. */
  readonly options: { readonly max?: number | undefined }
  readonly connect: (
    done: (cause: Error | undefined, client: any, release: (broken?: any) => void) => void
  ) => void
  readonly on: (event: "error", listener: (cause: Error) => void) => unknown
  readonly off: (event: "error", listener: (cause: Error) => void) => unknown
}

/** How ampsync uses a host program's pool. */
export interface HostPoolOptions {
  /** Most connections of the pool that ampsync uses at once, at least 2; the `max` of the pool where absent. */
  readonly maxConnections?: number
}
