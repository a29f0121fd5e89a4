/** The flags of the verbs that run a simulated chain. */
import { Duration, Schema } from "effect"
import { Flag } from "effect/cli"
import { duration, withDefault } from "./flags.ts"

const blocks = Flag.Int("blocks").pipe(Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))))
const count = (name: string) => Flag.Int(name).pipe(Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))))

/** The chain of `simulate` and `demo`. */
export const chain = {
  dialect: Flag.Literals("dialect", ["nozzle", "amp"]).pipe(withDefault("amp", "Dialect of the server to simulate")),
  seed: Flag.Int("seed").pipe(withDefault(7, "The same seed gives the same chain")),
  blocks: blocks.pipe(withDefault(10_000, "Blocks of the chain at the start")),
  blockTime: duration(
    "block-time",
    Duration.seconds(1),
    "Time from one new block to the next, such as 200ms, 2s or 1m",
    "1s"
  ),
  reorgEvery: count("reorg-every").pipe(
    withDefault(20, "New blocks between two reorgs; 0 for no reorgs")
  ),
  reorgDepth: count("reorg-depth").pipe(withDefault(3, "Blocks that a reorg replaces"))
}
