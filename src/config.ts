/**
 * What config files are written with. It imports nothing but itself, so that a config file loads in no time.
 *
 * @module ampsync/config
 */
export {
  defineDataset,
  type DefinitionContext,
  type DefinitionFunction,
  type FunctionSource
} from "./domain/manifest/defineDataset.ts"
export {
  type Abi,
  type AbiEvent,
  type AbiParameter,
  camelToSnake,
  eventQuery,
  type EventTable,
  eventTable,
  eventTableName,
  eventTables
} from "./domain/manifest/eventTables.ts"
