import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { changeWatcher } from "../../../src/layers/manifest-source/awaitChange.ts"
import { digestsNow } from "../../../src/layers/manifest-source/contentDigest.ts"
import { FileWatch } from "../../../src/layers/manifest-source/FileWatch.ts"
import { eventually } from "../../support/eventually.ts"
import { directoryOf } from "./files.ts"

/** The watches of this process in the kernel. */
const watches = (): number =>
  readdirSync("/proc/self/fdinfo").map((fd) => {
    try {
      return readFileSync(`/proc/self/fdinfo/${fd}`, "utf8").split("\n").filter((line) => line.startsWith("inotify"))
        .length
    } catch {
      return 0
    }
  }).reduce((a, b) => a + b, 0)

describe("the watch on files", () => {
  it.live("emits events for the files it watches now, and for none that it watched before", () =>
    Effect.gen(function*() {
      const root = yield* directoryOf({ "a/c": "", "b/c": "" })
      const [a, b] = [join(root, "a", "c"), join(root, "b", "c")]
      let events = 0
      const watch = new FileWatch(() => void (events += 1))
      yield* Effect.addFinalizer(() => Effect.sync(() => watch.close()))
      const writtenTo = Effect.fnUntraced(function*(path: string) {
        // One write is several events, and earlier ones were emitted by then.
        let before = -1
        while (before !== events) {
          before = events
          yield* Effect.sleep(200)
        }
        yield* Effect.promise(() => writeFile(path, "x"))
        return before
      })
      const emitsEvent = Effect.fnUntraced(function*(path: string) {
        const before = yield* writtenTo(path)
        yield* eventually("an event is emitted", Effect.sync(() => events > before))
      })
      const isDeafTo = Effect.fnUntraced(function*(path: string) {
        const before = yield* writtenTo(path)
        yield* Effect.sleep(300)
        assert.strictEqual(events, before)
      })
      yield* Effect.promise(() => watch.watch([a]))
      yield* emitsEvent(a)
      yield* isDeafTo(b)
      yield* Effect.promise(() => watch.watch([b]))
      yield* isDeafTo(a)
      yield* emitsEvent(b)
      watch.close()
      yield* Effect.promise(() => watch.watch([a]))
      yield* isDeafTo(a)
      yield* isDeafTo(b)
    }))

  it.live.skipIf(process.platform !== "linux")(
    "ends with the scope of the waiting effect",
    () =>
      Effect.gen(function*() {
        const root = yield* directoryOf({ c: "" })
        const before = watches()
        const while_ = yield* Effect.scoped(Effect.gen(function*() {
          const awaitChange = yield* changeWatcher(Duration.millis(5))
          yield* Effect.forkScoped(awaitChange(yield* Effect.promise(() => digestsNow([join(root, "c")]))))
          yield* eventually("it watches", Effect.sync(() => watches() > before))
          return watches()
        }))
        assert.strictEqual(while_, before + 2, "the file and its directory")
        assert.strictEqual(watches(), before)
      })
  )
})
