/** A `FlightClient` for an address, and its streams. */
import { Context, Effect, Layer, Stream } from "effect"
import type { Cursor } from "../../../src/domain/chain/BlockRange.ts"
import { layer } from "../../../src/layers/FlightClient.ts"
import { FlightClient } from "../../../src/services/FlightClient.ts"
import { testSettings } from "../../support/testSettings.ts"
import { unreachableDatabase } from "../../support/unreachableDatabase.ts"

export const clientOf = (flightUrl: string, more: Parameters<typeof testSettings>[1] = {}) =>
  Effect.map(
    Layer.build(layer.pipe(Layer.provide(testSettings(unreachableDatabase, { AMP_FLIGHT_ADDR: flightUrl, ...more })))),
    (services) => Context.get(services, FlightClient)
  )

export const SQL = "SELECT * FROM anvil.logs"
export const STREAM = `${SQL} SETTINGS stream = true`

export const open = (client: FlightClient["Service"], sql = STREAM, cursor?: Cursor) =>
  Stream.unwrap(Effect.map(client.open({ sql, cursor }), ({ messages }) => messages))
