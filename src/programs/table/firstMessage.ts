/** The first message of a stream that is about a range. */
import { Effect, Fiber, Option, Result, Sink, Stream } from "effect"
import { parseStreamMetadata } from "../../domain/chain/StreamMetadata.ts"
import type { FlightData } from "../../domain/flight/FlightData.ts"
import type { FlightStream } from "../../services/FlightClient.ts"

/** A server refuses at once what it cannot stream; one that sends nothing for so long is waiting for a block. */
const FIRST_MESSAGE_TIMEOUT = "3 seconds"

/** The schema comes before the server plans a range, and dictionaries before their rows; neither has metadata. */
const isOfRange = ({ appMetadata }: FlightData): boolean => appMetadata.length > 0

/** The network of the ranges in the first of these messages that has one; undefined where none has. */
const networkOf = (messages: ReadonlyArray<FlightData>): string | undefined => {
  const first = messages.find(isOfRange)
  // What is wrong with a message is found where it is processed.
  const metadata = first === undefined ? undefined : Result.getOrUndefined(parseStreamMetadata(first.appMetadata))
  return metadata?.ranges[0]?.network
}

/**
 * Fails where a query that the server can plan is one that it cannot stream, which only its stream shows. Returns the network
 * of its chain; undefined where the server sends nothing yet. The time until the stream is open does not count: a server that
 * plans slowly has not shown yet that it can stream the query.
 */
export const awaitFirstMessage = <E, R>(opening: Effect.Effect<FlightStream, E, R>) =>
  Effect.flatMap(opening, ({ messages }) =>
    Stream.runCollect(Stream.takeUntil(messages, isOfRange)).pipe(
      Effect.timeoutOption(FIRST_MESSAGE_TIMEOUT),
      Effect.map((messages) => networkOf(Option.getOrElse(messages, () => [])))
    ))

/**
 * Waits as `awaitFirstMessage` does; returns all messages, those included that came meanwhile, and the network. To be run once,
 * within the scope.
 */
export const peekFirstMessage = Effect.fnUntraced(function*<E>(messages: Stream.Stream<FlightData, E>) {
  // It goes on after the timeout: to end it could lose the message that comes at that moment.
  const reading = yield* Effect.forkScoped(Stream.peel(messages, Sink.takeUntil(isOfRange)))
  const peeked = yield* Effect.timeoutOption(Fiber.join(reading), FIRST_MESSAGE_TIMEOUT)
  return {
    network: networkOf(Option.isSome(peeked) ? peeked.value[0] : []),
    messages: Stream.unwrap(Effect.map(
      Fiber.join(reading),
      ([first, rest]) => Stream.concat(Stream.fromIterable(first), rest)
    ))
  }
})
