import { Effect, Stream } from "effect"
import type { FlightData } from "../../domain/flight/FlightData.ts"
import type { FlightStream } from "../../services/FlightClient.ts"

/** A server refuses at once what it cannot stream; one that sends nothing for so long is waiting for a block. */
const FIRST_MESSAGE_TIMEOUT = "3 seconds"

/** The schema comes before the server plans a range, and dictionaries before their rows; neither has metadata. */
const isOfRange = ({ appMetadata }: FlightData): boolean => appMetadata.length > 0

/** Fails where a query that the server can plan is one that it cannot stream, which only its stream shows. */
export const awaitFirstMessage = <E, R>(opening: Effect.Effect<FlightStream, E, R>) =>
  Effect.flatMap(opening, ({ messages }) => Stream.runDrain(Stream.takeUntil(messages, isOfRange))).pipe(
    Effect.timeoutOption(FIRST_MESSAGE_TIMEOUT),
    Effect.asVoid
  )
