/**
 * `SourceHead` over the `blocks` table of a network: the Admin API finds it, a batch query over Flight reads it. While that
 * API does not answer, a table `blocks` beside those that the config's queries read takes its place, once it is proved to be
 * one of the network.
 */
import {
  Clock,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Random,
  Request,
  RequestResolver,
  Result,
  Stream
} from "effect"
import {
  blocksQuery,
  emptyResponse,
  headOf,
  type HeadReport,
  isHeadMissing,
  lastBlockOf,
  lastBlockQuery,
  readResponse,
  reportOn
} from "../domain/chain/sourceHead.ts"
import type { Watermark } from "../domain/chain/watermarks.ts"
import { formatDatasetReference } from "../domain/manifest/Dataset.ts"
import type { Manifest } from "../domain/manifest/Manifest.ts"
import { tableSchemas } from "../domain/manifest/references.ts"
import { AdminApi, isUnreachable } from "../services/AdminApi.ts"
import { FlightClient } from "../services/FlightClient.ts"
import { SourceHead, SourceHeadError } from "../services/SourceHead.ts"

export interface SourceHeadOptions {
  /** From the question to the whole answer, the look-up of the table included. */
  readonly deadline?: Duration.Input
  /** Calls that come within this time share a query. */
  readonly window?: Duration.Input
  /** Between two ticks of a network. */
  readonly interval?: Duration.Input
}

/** Finding the table walks through datasets of the Admin API, which change only when somebody publishes one. */
const TABLE_LIFETIME_MILLIS = Duration.toMillis("10 minutes")

/** An Admin API that did not answer is asked again after so long. */
const SILENCE_LIFETIME_MILLIS = Duration.toMillis("1 minute")
/** Schemas that are tried without the Admin API. */
const MAX_GUESSES = 8

class Question
  extends Request.Class<{ readonly subject: Subject; readonly block: Watermark }, HeadReport, SourceHeadError>
{}

/** What a query is about: calls with the same key share it, whichever reload of the config they come from. */
interface Subject {
  readonly key: string
  readonly manifest: Manifest
  readonly network: string
}

const subjectOf = (manifest: Manifest, network: string): Subject => ({
  key: JSON.stringify([network, manifest.dataset, Object.values(manifest.dependencies)]),
  manifest,
  network
})

const make = Effect.fnUntraced(function*(options: SourceHeadOptions) {
  const { deadline = "20 seconds", interval = "15 seconds", window = "100 millis" } = options
  const [admin, flight, scope] = [yield* AdminApi, yield* FlightClient, yield* Effect.scope]
  const tables = new Map<string, { readonly table: Option.Option<string>; readonly until: number }>()
  /** Tables of blocks that nobody named, by the subject they were shown to belong to. */
  const proved = new Map<string, string>()

  const tableOf = Effect.fnUntraced(function*({ key, manifest, network }: Subject) {
    const now = yield* Clock.currentTimeMillis
    const known = tables.get(key)
    if (known !== undefined && now < known.until) return known.table
    const table = yield* admin.blocksTable(manifest, network)
    tables.set(key, { table, until: now + TABLE_LIFETIME_MILLIS })
    return table
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

  const askTable = Effect.fnUntraced(function*(network: string, table: string, blocks: ReadonlyArray<bigint>) {
    const answer = yield* read(network, table, blocksQuery(table, blocks))
    const head = isHeadMissing(answer, blocks)
      ? lastBlockOf(yield* read(network, table, lastBlockQuery(table)))
      : headOf(answer, network, blocks)
    return { rows: answer.rows, head, networks: answer.ranges.map((range) => range.network) }
  })

  /** Asks the tables that stand beside those of the config's queries; fails with `reason` until one is proved to be right. */
  const askWithoutAdminApi = Effect.fnUntraced(function*(
    { key, manifest, network }: Subject,
    blocks: ReadonlyArray<Watermark>,
    reason: SourceHeadError
  ) {
    const known = proved.get(key)
    for (const table of known === undefined ? blocksTablesBeside(manifest) : [known]) {
      const asked = yield* Effect.result(askTable(network, table, blocks.map(({ block }) => block)))
      if (Result.isFailure(asked)) continue
      const { head, networks, rows } = asked.success
      // Another network may have a block of the same number, never of the same hash.
      const isRight = networks.length > 0
        ? networks.includes(network)
        : blocks.some((block) => reportOn(block, rows, head).verdict === "canonical")
      if (!isRight && known === undefined) continue
      proved.set(key, table)
      tables.set(key, { table: Option.some(table), until: (yield* Clock.currentTimeMillis) + SILENCE_LIFETIME_MILLIS })
      return asked.success
    }
    return yield* Effect.fail(reason)
  })

  const ask = Effect.fn("SourceHead.ask")(function*(subject: Subject, blocks: ReadonlyArray<Watermark>) {
    const { manifest, network } = subject
    const found = yield* Effect.result(tableOf(subject))
    if (Result.isFailure(found)) {
      const { message, retryable } = found.failure
      const reason = failure(network, undefined, "LookupFailed", message, retryable)
      return yield* isUnreachable(found.failure) ? askWithoutAdminApi(subject, blocks, reason) : Effect.fail(reason)
    }
    if (Option.isNone(found.success)) return yield* noBlocksTable(manifest, network)
    return yield* askTable(network, found.success.value, blocks.map(({ block }) => block))
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
      // The table may be gone with the version of a dataset: the next question looks for it again.
      Effect.tapError(({ reason }) => Effect.sync(() => reason === "NoBlocksTable" || tables.delete(key)))
    ))

  const resolver = RequestResolver.makeGrouped<Question, string>({
    key: ({ request }) => request.subject.key,
    resolver: Effect.fnUntraced(function*(entries) {
      const blocks = entries.map(({ request }) => request.block)
      // Callers may come and go; the query belongs to the layer and ends with it.
      const asking = yield* Effect.forkIn(ask(entries[0].request.subject, blocks), scope)
      const answer = yield* Fiber.await(asking)
      for (const { completeUnsafe, request } of entries) {
        completeUnsafe(Exit.map(answer, ({ head, rows }) => reportOn(request.block, rows, head)))
      }
    })
  }).pipe(RequestResolver.setDelay(window))

  return SourceHead.of({
    check: Effect.fn("SourceHead.check")((manifest, network, block) =>
      Effect.request(new Question({ subject: subjectOf(manifest, network), block }), resolver)
    ),
    nextTick: yield* makeTicks(Duration.toMillis(Duration.fromInputUnsafe(interval)))
  })
})

/** Ticks at a random phase of each network: many processes that start together do not ask together. */
const makeTicks = Effect.fnUntraced(function*(intervalMillis: number) {
  const random = yield* Random.Random
  const phases = new Map<string, number>()
  return Effect.fn("SourceHead.nextTick")(function*(network: string) {
    const phase = phases.get(network) ?? Math.floor(random.nextDoubleUnsafe() * intervalMillis)
    phases.set(network, phase)
    const now = yield* Clock.currentTimeMillis
    yield* Effect.sleep(intervalMillis - ((now - phase + intervalMillis) % intervalMillis))
  })
})

/** Each schema that a query reads may have the blocks of its network. */
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
