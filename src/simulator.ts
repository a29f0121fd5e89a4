/**
 * A Nozzle / Amp server that needs no chain, for tests of programs that read what Ampsync writes.
 *
 * The chain is made from a seed: the same seed gives the same rows. Blocks, reorgs and faults come when the test asks for them.
 *
 * @module ampsync/simulator
 */
export type { BlockId } from "./simulator/BlockSource.ts"
export type { Chain, PlainRow } from "./simulator/Chain.ts"
export type { PlainValue } from "./simulator/columns.ts"
export type { CallName, Faults, RecordedCall, StreamHandle } from "./simulator/faults.ts"
export type { GivenBlock, GivenRows } from "./simulator/GivenBlocks.ts"
export { FlightFailure } from "./simulator/plan.ts"
export { type Simulator, type SimulatorOptions, startSimulator } from "./simulator/Simulator.ts"
export { NodeNeedsAmp, SimulatorError } from "./simulator/SimulatorError.ts"
export type { Dialect, TableName } from "./simulator/tables.ts"
