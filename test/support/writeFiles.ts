/** Writes files for tests. */
import { mkdir, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"

/** Path -> content. */
export type Files = Readonly<Record<string, string>>

/** Writes files below `root`, with the directories they need. */
export const writeFiles = async (root: string, files: Files): Promise<void> => {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), content)
  }
}
