/** The flat routes of October 2025: datasets by name, schemas by version. */
import { Result } from "effect"
import { adminError, type AdminRequest, type AdminResponse } from "./adminResponse.ts"
import { arrowSchemaJson } from "./arrowJson.ts"
import type { Dataset } from "./datasets.ts"
import { planQuery, SYNTAX } from "./plan.ts"
import { fieldsOf } from "./tables.ts"

const NAME = /^[a-z_][a-z0-9_]*$/
const VERSION = /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/
const NOT_FOUND: AdminResponse = { status: 404 }
const DEFAULT_LIMIT = 50
const MAX_LIMIT = 1000

/** Responds to a request by the routes of a nozzle server. */
export const nozzleRoutes = (datasets: ReadonlyArray<Dataset>, request: AdminRequest): AdminResponse => {
  const [root, name, versions, version, leaf, ...rest] = request.path
  if (root === "schema" && name === undefined) {
    return request.method === "POST" ? querySchema(datasets, request.body) : { status: 405 }
  }
  if (root !== "datasets" || rest.length > 0) return NOT_FOUND
  if (request.method !== "GET") return { status: 405 }
  if (name === undefined) return { status: 200, body: { datasets: datasets.map(summary) } }
  if (versions !== undefined && versions !== "versions") return NOT_FOUND
  if (leaf !== undefined && leaf !== "schema") return NOT_FOUND
  if (!NAME.test(name) || (version !== undefined && !VERSION.test(version))) {
    return adminError(400, "INVALID_SELECTOR", `invalid dataset selector: ${[name, version].filter(Boolean).join(" ")}`)
  }
  const dataset = datasets.find((_) => _.name === name)
  if (versions !== undefined && version === undefined) return listVersions(dataset, request.query)
  const wanted = version ?? dataset?.versions[0]
  if (dataset === undefined || wanted === undefined || !dataset.versions.includes(wanted)) {
    return adminError(404, "DATASET_NOT_FOUND", `dataset '${name}' version '${wanted ?? "latest"}' not found`)
  }
  return { status: 200, body: leaf === "schema" ? schemaOf(dataset, wanted) : details(dataset, wanted) }
}

const summary = (dataset: Dataset) => ({
  name: dataset.name,
  latest_version: dataset.versions[0],
  versions: dataset.versions
})

const details = (dataset: Dataset, version: string) => ({
  name: dataset.name,
  version,
  kind: dataset.kind,
  tables: Object.keys(dataset.tables).map((name) => ({ name, network: dataset.network }))
})

const schemaOf = (dataset: Dataset, version: string) => ({
  name: dataset.name,
  version,
  tables: Object.values(dataset.tables).map((table) => ({
    name: table.name,
    network: dataset.network,
    schema: arrowSchemaJson(fieldsOf(table))
  }))
})

/** The versions, descending; an unknown dataset has none, which is no error. */
const listVersions = (dataset: Dataset | undefined, query: URLSearchParams): AdminResponse => {
  const text = query.get("limit") ?? String(DEFAULT_LIMIT)
  if (!/^\d+$/.test(text)) return adminError(400, "INVALID_QUERY_PARAMETERS", `invalid query parameters: limit=${text}`)
  const limit = Number(text)
  if (limit === 0) return adminError(400, "LIMIT_INVALID", "limit must be greater than 0")
  if (limit > MAX_LIMIT) {
    return adminError(400, "LIMIT_TOO_LARGE", `limit ${limit} exceeds maximum allowed limit of ${MAX_LIMIT}`)
  }
  const all = dataset?.versions ?? []
  const after = query.get("last_version")
  const listed = all.slice(after === null ? 0 : all.indexOf(after) + 1).slice(0, limit)
  const cursor = listed.at(-1)
  return { status: 200, body: { versions: listed, ...(cursor === undefined ? {} : { next_cursor: cursor }) } }
}

/** `POST /schema`: the schema of a query, with `_block_num` in front when it is to become a table. */
const querySchema = (datasets: ReadonlyArray<Dataset>, body: unknown): AdminResponse => {
  const { is_sql_dataset: isDataset, sql_query: sql } = (body ?? {}) as {
    sql_query?: unknown
    is_sql_dataset?: unknown
  }
  if (typeof sql !== "string") return adminError(400, "INVALID_PAYLOAD_FORMAT", "invalid request payload format")
  const plan = planQuery("nozzle", datasets, sql)
  if (Result.isFailure(plan)) {
    const syntax = plan.failure.details.startsWith(SYNTAX.nozzle)
    return adminError(syntax ? 400 : 500, syntax ? "SQL_PARSE_ERROR" : "PLANNING_ERROR", plan.failure.details)
  }
  const { dataset, fields, table } = plan.success
  const position = fieldsOf(table).filter((_) => _.name === "_block_num")
  const missing = isDataset === true && !fields.some((_) => _.name === "_block_num")
  const schema = arrowSchemaJson(missing ? [...position, ...fields] : fields)
  return { status: 200, body: { schema, networks: [dataset.network] } }
}
