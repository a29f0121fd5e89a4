/** The namespaced routes of March 2026: revisions and manifests. The former schema route does not exist. */
import { Result } from "effect"
import { adminError, type AdminRequest, type AdminResponse } from "./adminResponse.ts"
import { arrowSchemaJson } from "./arrowJson.ts"
import type { Dataset } from "./datasets.ts"
import { type Aliases, findDataset, planQuery, SYNTAX } from "./plan.ts"
import { fieldsOf } from "./tables.ts"

const NOT_FOUND: AdminResponse = { status: 404 }
const REGISTERED_AT = "2026-03-13T00:00:00Z"

/** Responds to a request by the routes of an amp server. */
export const ampRoutes = (datasets: ReadonlyArray<Dataset>, request: AdminRequest): AdminResponse => {
  const [root, namespace, name, versions, revision, leaf, ...rest] = request.path
  if (root === "healthz" && namespace === undefined) return { status: 200, body: "OK" }
  if (root === "schema" && namespace === undefined) {
    return request.method === "POST" ? querySchemas(datasets, request.body) : { status: 405 }
  }
  if (root !== "datasets" || rest.length > 0) return NOT_FOUND
  if (request.method !== "GET") return { status: 405 }
  if (namespace === undefined) return { status: 200, body: { datasets: datasets.map(summary) } }
  if (name === undefined) return NOT_FOUND
  // The route of one dataset has a handler that requires a revision too: it never succeeds.
  if (versions === undefined) return invalidPath("Wrong number of path arguments for `Path`. Expected 3 but got 2")
  if (versions !== "versions" || (leaf !== undefined && leaf !== "manifest")) return NOT_FOUND
  if (!/^[a-z0-9_]+$/.test(namespace) || !/^[a-z_][a-z0-9_]*$/.test(name)) return invalidPath(`${namespace}/${name}`)
  if (revision === undefined) return { status: 200, body: listVersions(datasets, namespace, name) }
  const dataset = findDataset(datasets, `${namespace}/${name}@${revision}`)
  if (dataset === "malformed") return invalidPath(revision)
  if (dataset === undefined) {
    return adminError(404, "DATASET_NOT_FOUND", `Dataset '${namespace}/${name}' at revision '${revision}' not found`)
  }
  return { status: 200, body: leaf === "manifest" ? dataset.manifest : details(dataset, revision) }
}

const invalidPath = (what: string): AdminResponse => adminError(400, "INVALID_PATH", `Invalid path parameters: ${what}`)

const summary = (dataset: Dataset) => ({
  namespace: dataset.namespace,
  name: dataset.name,
  latest_version: dataset.versions[0],
  versions: dataset.versions
})

const listVersions = (datasets: ReadonlyArray<Dataset>, namespace: string, name: string) => {
  const dataset = datasets.find((_) => _.namespace === namespace && _.name === name)
  return {
    namespace,
    name,
    versions: (dataset?.versions ?? []).map((version) => ({
      version,
      manifest_hash: dataset?.manifestHash,
      created_at: REGISTERED_AT,
      updated_at: REGISTERED_AT
    })),
    special_tags: dataset === undefined ? {} : { latest: dataset.versions[0], dev: dataset.manifestHash }
  }
}

const details = (dataset: Dataset, revision: string) => ({
  namespace: dataset.namespace,
  name: dataset.name,
  revision,
  manifest_hash: dataset.manifestHash,
  kind: dataset.kind,
  start_block: Number(dataset.startBlock),
  finalized_blocks_only: false,
  tables: Object.keys(dataset.tables)
})

const isTextRecord = (value: unknown): value is Readonly<Record<string, string>> =>
  typeof value === "object" && value !== null && Object.values(value).every((_) => typeof _ === "string")

/** `POST /schema`: the schemas of several queries, each with `_block_num` in front. */
const querySchemas = (datasets: ReadonlyArray<Dataset>, body: unknown): AdminResponse => {
  const { dependencies = {}, tables = {} } = (body ?? {}) as { tables?: unknown; dependencies?: unknown }
  if (body === undefined || !isTextRecord(tables) || !isTextRecord(dependencies)) {
    return adminError(400, "INVALID_PAYLOAD_FORMAT", "invalid request payload format")
  }
  if (Object.keys(tables).length === 0) {
    return adminError(400, "EMPTY_TABLES_AND_FUNCTIONS", "at least one table or function must be provided")
  }
  const missing = Object.values(dependencies).find((reference) => typeof findDataset(datasets, reference) !== "object")
  if (missing !== undefined) return adminError(404, "DEPENDENCY_NOT_FOUND", `dependency '${missing}' not found`)
  const schemas: Record<string, unknown> = {}
  for (const [name, sql] of Object.entries(tables)) {
    const schema = querySchema(datasets, name, sql, dependencies)
    if (Result.isFailure(schema)) return schema.failure
    schemas[name] = schema.success
  }
  return { status: 200, body: { schemas } }
}

const querySchema = (
  datasets: ReadonlyArray<Dataset>,
  name: string,
  sql: string,
  dependencies: Aliases
): Result.Result<unknown, AdminResponse> => {
  const plan = planQuery("amp", datasets, sql, dependencies)
  if (Result.isFailure(plan)) {
    const { details } = plan.failure
    const syntax = details.startsWith(SYNTAX.amp)
    return Result.fail(adminError(syntax ? 400 : 500, syntax ? "INVALID_TABLE_SQL" : "SCHEMA_INFERENCE", details))
  }
  const { fields, nonIncremental, table } = plan.success
  if (nonIncremental !== undefined) {
    return Result.fail(
      adminError(400, "NON_INCREMENTAL_QUERY", `table '${name}' is not incremental: ${nonIncremental}`)
    )
  }
  const position = fieldsOf(table).filter((_) => _.name === "_block_num")
  return Result.succeed(arrowSchemaJson([...position, ...fields.filter((_) => _.name !== "_block_num")]))
}
