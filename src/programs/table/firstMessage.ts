import { Effect, Fiber, Sink, Stream } from "effect"
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

/**
 * Waits as `awaitFirstMessage` does; gives all messages, those included that came meanwhile. To be run once, within the scope.
 */
export const peekFirstMessage = Effect.fnUntraced(function*<E>(messages: Stream.Stream<FlightData, E>) {
  // It goes on after the timeout: to end it could lose the message that comes at that moment.
  const reading = yield* Effect.forkScoped(Stream.peel(messages, Sink.takeUntil(isOfRange)))
  yield* Effect.timeoutOption(Fiber.join(reading), FIRST_MESSAGE_TIMEOUT)
  return Stream.unwrap(Effect.map(
    Fiber.join(reading),
    ([first, rest]) => Stream.concat(Stream.fromIterable(first), rest)
  ))
})
