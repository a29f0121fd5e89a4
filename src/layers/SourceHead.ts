/**
 * `SourceHead` over the `blocks` table of a network: the Admin API finds it, a batch query over Flight reads it. While that
 * API does not respond, a table `blocks` beside those that the config's queries read takes its place, once it is proved to
 * belong to the network.
 */
import { Duration, Effect, Exit, Fiber, Layer, Option, Random, Request, RequestResolver, Result, Stream } from "effect"
import {
  blocksQuery,
  emptyResponse,
  type Head,
  headOf,
  type HeadReport,
  isHeadMissing,
  lastBlockOf,
  lastBlockQuery,
  readResponse,
  reportOn
} from "../domain/chain/sourceHead.ts"
import type { Watermark } from "../domain/chain/watermarks.ts"
import { elapsedMillis } from "../domain/elapsed.ts"
import { formatDatasetReference } from "../domain/manifest/Dataset.ts"
import type { Manifest } from "../domain/manifest/Manifest.ts"
import { tableSchemas } from "../domain/manifest/references.ts"
import { AdminApi, isUnreachable } from "../services/AdminApi.ts"
import { FlightClient } from "../services/FlightClient.ts"
import { SourceHead, SourceHeadError } from "../services/SourceHead.ts"

export interface SourceHeadOptions {
  /** From the call to its result, including the lookup of the table. */
  readonly deadline?: Duration.Input
  /** Calls within this time share a query. */
  readonly window?: Duration.Input
  /** Between two polls of a network. */
  readonly interval?: Duration.Input
}

/** The lookup reads many datasets of the Admin API, which change only when somebody publishes one. */
const TABLE_LIFETIME_MILLIS = Duration.toMillis("10 minutes")

/** After this long the lookup is tried again with an Admin API that did not respond. */
const GUESS_LIFETIME_MILLIS = Duration.toMillis("1 minute")
/** Schemas that are tried while the Admin API does not respond. */
const MAX_GUESSES = 8

class Question extends Request.Class<
  { readonly subject: Subject; readonly block: Watermark; readonly tip: bigint | undefined },
  HeadReport,
  SourceHeadError
> {}

/** Short of the deadline, so that the answer that decisions wait for is not lost. */
const END_TIMEOUT = "5 seconds"

/** The blocks that one query is about. */
interface Asked {
  readonly blocks: ReadonlyArray<Watermark>
  /** Of interest is only whether there are blocks with these numbers. */
  readonly tips: ReadonlyArray<bigint>
}

/** What a query is about: calls with the same key share it, also across reloads of the config. */
interface Subject {
  readonly key: string
  readonly manifest: Manifest
  readonly network: string
}

interface KnownTable {
  readonly table: Option.Option<string>
  /** Elapsed milliseconds. */
  readonly until: number
  /** Why the Admin API did not find the table; undefined where it did. */
  readonly guessedFor: SourceHeadError | undefined
}

const subjectOf = (manifest: Manifest, network: string): Subject => ({
  key: JSON.stringify([network, manifest.dataset, Object.values(manifest.dependencies), blocksTablesBeside(manifest)]),
  manifest,
  network
})

const make = Effect.fnUntraced(function*(options: SourceHeadOptions) {
  const { deadline = "20 seconds", interval = "15 seconds", window = "100 millis" } = options
  const [admin, flight, scope] = [yield* AdminApi, yield* FlightClient, yield* Effect.scope]
  const tables = new Map<string, KnownTable>()
  /** Tables of blocks found without the Admin API, by the subject they were proved to belong to. */
  const proved = new Map<string, ReadonlySet<string>>()

  const tableOf = Effect.fnUntraced(function*({ key, manifest, network }: Subject) {
    const now = yield* elapsedMillis
    const known = tables.get(key)
    if (known !== undefined && now < known.until) return known
    const found: KnownTable = {
      table: yield* admin.blocksTable(manifest, network),
      until: now + TABLE_LIFETIME_MILLIS,
      guessedFor: undefined
    }
    tables.set(key, found)
    return found
  })

  const read = (network: string, table: string, sql: string) =>
    flight.query(sql).pipe(
      Stream.runFoldEffect(() => emptyResponse, (answer, frame) => Effect.fromResult(readResponse(answer, frame))),
      Effect.mapError((error) =>
        error._tag === "FlightError"
          ? failure(network, table, "QueryFailed", error.message, error.retryable)
          : failure(network, table, "UnreadableAnswer", error.message, false)
      )
    )

  /** Nobody depends on it: what fails or takes long is left out. */
  const readEnd = (network: string, table: string) =>
    read(network, table, lastBlockQuery(table)).pipe(
      Effect.map(lastBlockOf),
      Effect.timeout(END_TIMEOUT),
      Effect.orElseSucceed(() => undefined)
    )

  const askTable = Effect.fnUntraced(function*(network: string, table: string, asked: Asked) {
    const blocks = asked.blocks.map(({ block }) => block)
    const answer = yield* read(network, table, blocksQuery(table, blocks, asked.tips))
    const isHeadLater = isHeadMissing(answer, blocks)
    const head = isHeadLater
      ? lastBlockOf(yield* read(network, table, lastBlockQuery(table)))
      : headOf(answer, network, blocks)
    const end = head?.isExact === false && asked.tips.length === 0 ? yield* readEnd(network, table) : undefined
    return { table, rows: answer.rows, head, isHeadLater, end, networks: answer.ranges.map((range) => range.network) }
  })

  /**
   * Queries the tables beside those of the config's queries, and takes the one with the highest head of those proved to be
   * right. Fails with `reason` where none is.
   */
  const askWithoutAdminApi = Effect.fnUntraced(function*(
    { key, manifest, network }: Subject,
    request: Asked,
    reason: SourceHeadError
  ) {
    const before = proved.get(key) ?? new Set()
    const asked = yield* Effect.forEach(blocksTablesBeside(manifest), (table) => {
      const answer = askTable(network, table, request)
      // Without the answer of a table that is known to be right, one that lags behind it could stand for the chain.
      return before.has(table) ? Effect.asSome(answer) : Effect.option(answer)
    }, { concurrency: "unbounded" })
    const right = asked.flatMap(Option.toArray).filter(({ head, networks, rows, table }) =>
      // Another network may have a block of the same number, never of the same hash.
      networks.length > 0
        ? networks.every((name) => name === network)
        : before.has(table) || request.blocks.some((block) => reportOn(block, rows, head).verdict === "canonical")
    )
    const [first, ...others] = right
    if (first === undefined) return yield* Effect.fail(reason)
    proved.set(key, new Set([...before, ...right.map(({ table }) => table)]))
    const best = others.reduce((best, answer) => headBlock(answer) > headBlock(best) ? answer : best, first)
    const now = yield* elapsedMillis
    const known = tables.get(key)
    const until = known !== undefined && now < known.until ? known.until : now + GUESS_LIFETIME_MILLIS
    tables.set(key, { table: Option.some(best.table), until, guessedFor: reason })
    return best
  })

  const ask = Effect.fn("SourceHead.ask")(function*(subject: Subject, asked: Asked) {
    const { manifest, network } = subject
    const found = yield* Effect.result(tableOf(subject))
    if (Result.isFailure(found)) {
      const { message, retryable } = found.failure
      const reason = failure(network, undefined, "LookupFailed", message, retryable)
      return yield* isUnreachable(found.failure) ? askWithoutAdminApi(subject, asked, reason) : Effect.fail(reason)
    }
    const { guessedFor, table } = found.success
    if (guessedFor !== undefined) return yield* askWithoutAdminApi(subject, asked, guessedFor)
    if (Option.isNone(table)) return yield* noBlocksTable(manifest, network)
    return yield* askTable(network, table.value, asked)
  }, (effect, { key, network }) =>
    effect.pipe(
      Effect.timeoutOrElse({
        duration: deadline,
        orElse: () => {
          const table = Option.getOrUndefined(tables.get(key)?.table ?? Option.none())
          const detail = `no answer within ${Duration.format(Duration.fromInputUnsafe(deadline))}`
          return Effect.fail(failure(network, table, "Timeout", detail, true))
        }
      }),
      // The table may be gone with the version of a dataset: the next call searches for it again.
      Effect.tapError(({ reason }) => Effect.sync(() => reason === "NoBlocksTable" || tables.delete(key)))
    ))

  const resolver = RequestResolver.makeGrouped<Question, string>({
    key: ({ request }) => request.subject.key,
    resolver: Effect.fnUntraced(function*(entries) {
      const blocks = entries.map(({ request }) => request.block)
      const tips = entries.flatMap(({ request }) => request.tip ?? [])
      // Callers may come and go; the query belongs to the layer and ends with it.
      const asking = yield* Effect.forkIn(ask(entries[0].request.subject, { blocks, tips }), scope)
      const answer = yield* Fiber.await(asking)
      for (const { completeUnsafe, request } of entries) {
        completeUnsafe(
          Exit.map(answer, ({ end, head, isHeadLater, rows }) => ({
            ...reportOn(request.block, rows, head, isHeadLater),
            ...(end === undefined ? {} : { end })
          }))
        )
      }
    })
  }).pipe(RequestResolver.setDelay(window))

  return SourceHead.of({
    check: Effect.fn("SourceHead.check")((manifest, network, block, tip) =>
      Effect.request(new Question({ subject: subjectOf(manifest, network), block, tip }), resolver)
    ),
    nextTick: yield* makeTicks(Duration.toMillis(Duration.fromInputUnsafe(interval)))
  })
})

/** Polls at a random phase per network, so that processes that start together do not query together. */
const makeTicks = Effect.fnUntraced(function*(intervalMillis: number) {
  const random = yield* Random.Random
  const phases = new Map<string, number>()
  return Effect.fn("SourceHead.nextTick")(function*(network: string) {
    const phase = phases.get(network) ?? Math.floor(random.nextDoubleUnsafe() * intervalMillis)
    phases.set(network, phase)
    const now = yield* elapsedMillis
    yield* Effect.sleep(intervalMillis - ((now - phase + intervalMillis) % intervalMillis))
  })
})

const headBlock = ({ head }: { readonly head: Head | undefined }): bigint => head?.block ?? -1n

/** Each schema that a query reads may have a table of the network's blocks. */
const blocksTablesBeside = ({ tables }: Manifest): ReadonlyArray<string> => {
  const schemas = new Set(tables.flatMap(tableSchemas))
  return [...schemas].slice(0, MAX_GUESSES).map((schema) => `${schema}.blocks`)
}

const failure = (
  network: string,
  table: string | undefined,
  reason: SourceHeadError["reason"],
  detail: string,
  retryable: boolean
) => new SourceHeadError({ operation: "check", network, table, reason, detail, retryable })

const noBlocksTable = (manifest: Manifest, network: string) => {
  const dataset = formatDatasetReference(manifest.dataset)
  const detail =
    `neither dataset "${dataset}" nor one that it depends on has a table "blocks" of this network; add its raw dataset to the dependencies of the config`
  return failure(network, undefined, "NoBlocksTable", detail, false)
}

export const layerWith = (options: SourceHeadOptions): Layer.Layer<SourceHead, never, AdminApi | FlightClient> =>
  Layer.effect(SourceHead, make(options))

export const layer: Layer.Layer<SourceHead, never, AdminApi | FlightClient> = layerWith({})
