/** File system events for the files of a config. */
import { type FSWatcher, watch } from "node:fs"
import { realpath } from "node:fs/promises"
import { dirname } from "node:path"

/**
 * Calls `onEvent` when some files may have changed. Events may be spurious or missing, so the files are polled as well.
 *
 * Directories are watched for files that are replaced, also through a symbolic link on the path; files themselves are watched
 * because the directory of a single file that is mounted into a container emits no events for it.
 */
export class FileWatch {
  readonly #onEvent: () => void
  #watchers: ReadonlyArray<FSWatcher> = []
  #closed = false

  constructor(onEvent: () => void) {
    this.#onEvent = onEvent
  }

  /** Replaces the watched files. To be called again after a change: a watch on a replaced file emits no events. */
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
      // A path that disappears, or a system that is out of watches, is no failure: the files are polled as well.
      return [watch(path, { persistent: false }, this.#onEvent).on("error", () => undefined)]
    } catch {
      return []
    }
  }
}
