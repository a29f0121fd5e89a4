import { type FSWatcher, watch } from "node:fs"
import { realpath } from "node:fs/promises"
import { dirname } from "node:path"

/**
 * Hears that something may have happened to some files. It may be wrong either way; what it misses, a look will find.
 *
 * Directories tell of files that are replaced, also where a symbolic link on the way to them is what changes; a file itself
 * is watched because a single file that is mounted into a container is all its directory there never hears of.
 */
export class FileWatch {
  readonly #onEvent: () => void
  #watchers: ReadonlyArray<FSWatcher> = []
  #closed = false

  constructor(onEvent: () => void) {
    this.#onEvent = onEvent
  }

  /** From now on, these. To be called again after a change: whoever watches a file that was replaced is deaf. */
  async watch(files: Iterable<string>): Promise<void> {
    const real = await Promise.all(Array.from(files, async (file) => [file, await realpath(file).catch(() => file)]))
    const paths = new Set(real.flat().flatMap((file) => [file, dirname(file)]))
    const previous = this.#watchers
    this.#watchers = this.#closed ? [] : [...paths].flatMap((path) => this.#open(path))
    for (const watcher of previous) watcher.close()
  }

  close(): void {
    this.#closed = true
    for (const watcher of this.#watchers) watcher.close()
    this.#watchers = []
  }

  #open(path: string): ReadonlyArray<FSWatcher> {
    try {
      // A path that goes away, or a system that is out of watches, is no failure: there are looks as well.
      return [watch(path, { persistent: false }, this.#onEvent).on("error", () => undefined)]
    } catch {
      return []
    }
  }
}
