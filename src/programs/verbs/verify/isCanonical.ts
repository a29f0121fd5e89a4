/** Asks the source whether a block is in its chain. */
import { Effect } from "effect"
import type { Verdict } from "../../../domain/chain/followFrame.ts"
import type { Watermark } from "../../../domain/chain/watermarks.ts"
import type { Manifest } from "../../../domain/manifest/Manifest.ts"
import { SourceHead } from "../../../services/SourceHead.ts"

/** The verdict of the source; `unknown` where its chain cannot be read. */
export const isCanonical = Effect.fnUntraced(function*(manifest: Manifest, network: string, block: Watermark) {
  const source = yield* SourceHead
  return yield* source.check(manifest, network, block).pipe(
    Effect.map(({ verdict }) => verdict),
    Effect.catch(() => Effect.succeed<Verdict>("unknown"))
  )
})
