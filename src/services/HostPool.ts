/**
 * What is used of a `Pool` of the package `pg`, version 8, that a host program has already.
 *
 * Written out, so that a host needs no types of `pg` to compile against ampsync.
 */
export interface HostPool {
  /** As the pool was made with; `max` is 10 where the host names none. */
  readonly options: { readonly max?: number | undefined }
  readonly connect: (
    done: (cause: Error | undefined, client: any, release: (broken?: any) => void) => void
  ) => void
  readonly on: (event: "error", listener: (cause: Error) => void) => unknown
  readonly off: (event: "error", listener: (cause: Error) => void) => unknown
}

export interface HostPoolOptions {
  /** Most connections of the pool that ampsync uses at once, at least 2; the `max` of the pool where absent. */
  readonly maxConnections?: number
}
