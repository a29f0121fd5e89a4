/** The dashboard, the alerts and the queries of docs/metrics.md name metrics, labels and states that exist. */
import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { metricSections } from "../../src/domain/metrics/metricSections.ts"
import { syncMetrics } from "../../src/domain/metrics/syncMetrics.ts"
import { tableMetrics } from "../../src/domain/metrics/tableMetrics.ts"
import { promtool, promtoolUnavailable } from "../support/promtool.ts"
import { root } from "./pages.ts"

const read = (path: string): string => readFileSync(join(root, path), "utf8")

const alerts = read("docs/prometheus/alerts.yaml")
const alertTests = read("docs/prometheus/alerts.test.yaml")
const dashboard = JSON.parse(read("docs/grafana/ampsync.json"))

/** Every string below `value` whose key is `key`. */
const textsOf = (value: unknown, key: string): ReadonlyArray<string> =>
  typeof value !== "object" || value === null ?
    [] :
    Object.entries(value).flatMap(([name, part]) =>
      name === key && typeof part === "string" ? [part] : textsOf(part, key)
    )

/** Of docs/metrics.md: what its table of questions has in code. */
const documented = [
  ...read("docs/metrics.md").split("## Questions and queries")[1]!.matchAll(/`([^`]*ampsync_[^`]*)`/g)
]
  .map(([, query]) => query!.replaceAll("\\|", "|"))

const expressions = {
  "docs/metrics.md": documented,
  "docs/grafana/ampsync.json": [...textsOf(dashboard, "expr"), ...textsOf(dashboard, "query")],
  // A block of text ends where the indentation does.
  "docs/prometheus/alerts.yaml": [...alerts.matchAll(/^ +expr: (?:\|\n((?: {10,}.*\n)+)|(.*)\n)/gm)].map(
    ([, block, line]) => block ?? line!
  ),
  "docs/prometheus/alerts.test.yaml": [...alertTests.matchAll(/series: '(.+)', values/g)].map(([, series]) => series!)
}

/** Name as it is exported -> labels. */
const exported = new Map(
  Object.values(metricSections).flat().flatMap(({ labels, name, type }) => {
    const names = type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]
    return names.map((one) => [one, [...labels, ...(one.endsWith("_bucket") ? ["le"] : [])]] as const)
  })
)

/** Label -> the values that it may have, for labels whose values are known. */
const labelValues = new Map(
  [...tableMetrics, ...syncMetrics].flatMap(({ labels, values }) =>
    values === undefined || labels.at(-1) === "version" ? [] : [[labels.at(-1)!, values] as const]
  )
)

/** What Prometheus adds when it scrapes. */
const ADDED = ["job", "instance"]

/** Everything in an expression that does not exist. */
const unknownIn = (expression: string): ReadonlyArray<string> => {
  const problems: Array<string> = []
  for (const [, name] of expression.matchAll(/\b((?:ampsync|process|nodejs)_[a-z0-9_]+)/g)) {
    if (!exported.has(name!)) problems.push(`no metric ${name}`)
  }
  for (const [, name, matchers] of expression.matchAll(/\b([a-z_0-9]+)\{([^}]*)\}/g)) {
    for (const [, label, , text] of matchers!.matchAll(/([a-z_]+)(=~|!~|!=|=)"([^"]*)"/g)) {
      const labels = exported.get(name!)
      if (labels !== undefined && ![...labels, ...ADDED].includes(label!)) {
        problems.push(`${name} has no label ${label}`)
      }
      const values = labelValues.get(label!)
      for (const value of values === undefined ? [] : text!.split("|")) {
        if (!values!.includes(value)) problems.push(`label ${label} is never ${value}`)
      }
    }
  }
  return problems
}

/** As Grafana fills in its variables. */
const filled = (expression: string): string =>
  expression.replaceAll("$__rate_interval", "5m").replaceAll(/\$(job|instance|table)/g, ".*")

describe("the dashboard, the alerts and the queries", () => {
  it.each(Object.entries(expressions))("of %s name only metrics, labels and states that there are", (_, all) => {
    assert.isAbove(all.length, 12)
    assert.deepStrictEqual(
      all.flatMap((expression) => unknownIn(expression).map((problem) => [problem, expression])),
      []
    )
  })

  it("would be red over a name, a label or a state that is wrong", () => {
    assert.deepStrictEqual(unknownIn(`rate(ampsync_table_rows_total{table="a"}[1m])`), [
      "no metric ampsync_table_rows_total"
    ])
    assert.deepStrictEqual(unknownIn(`ampsync_ready{table="a"}`), ["ampsync_ready has no label table"])
    assert.deepStrictEqual(unknownIn(`ampsync_table_state{state=~"parked|broken"}`), ["label state is never broken"])
    assert.deepStrictEqual(unknownIn(`ampsync_table_commit_seconds`), ["no metric ampsync_table_commit_seconds"])
  })

  it("leave nothing out of the dashboard but what other panels show as well", () => {
    const all = expressions["docs/grafana/ampsync.json"].join("\n")
    const unused = Object.values(metricSections).flat().map(({ name }) => name).filter((name) => !all.includes(name))
    assert.deepStrictEqual(unused, [
      "ampsync_table_watermark_moved_timestamp_seconds",
      "ampsync_table_source_head_read_timestamp_seconds",
      "process_start_time_seconds",
      "nodejs_heap_size_total_bytes",
      "nodejs_eventloop_lag_max_seconds"
    ])
  })
})

describe("docs/grafana/ampsync.json", () => {
  it("asks for the data source and the tables, and every panel uses them", () => {
    const variables = dashboard.templating.list.map(({ name, type }: { name: string; type: string }) => [name, type])
    assert.deepStrictEqual(variables, [
      ["datasource", "datasource"],
      ["job", "query"],
      ["instance", "query"],
      ["table", "query"]
    ])
    const ids = new Set<number>()
    for (const panel of dashboard.panels) {
      assert.isFalse(ids.has(panel.id), `panel ${panel.title} has an id of its own`)
      ids.add(panel.id)
      assert.deepStrictEqual(panel.datasource, { type: "prometheus", uid: "${datasource}" }, panel.title)
      if (panel.type === "row") continue
      assert.isAbove(panel.description.length, 0, panel.title)
      for (const { expr } of panel.targets) {
        const isOfTables = /ampsync_(?:table|stage)_/.test(expr)
        assert.include(expr, isOfTables ? `table=~"$table"` : `instance=~"$instance"`, panel.title)
      }
    }
  })

  it("has no two panels on the same place", () => {
    const taken = new Map<string, string>()
    for (const { gridPos: { h, w, x, y }, title } of dashboard.panels) {
      assert.isAtMost(x + w, 24, title)
      for (let column = x; column < x + w; column += 1) {
        for (let line = y; line < y + h; line += 1) {
          const place = `${column},${line}`
          assert.isUndefined(taken.get(place), `${title} is over ${taken.get(place)}`)
          taken.set(place, title)
        }
      }
    }
  })
})

describe("docs/prometheus/alerts.yaml", () => {
  const rules = alerts.split(/^ {6}- alert: /m).slice(1)

  it("has a severity, a summary, a description and what to do for each alert, and a test that provokes it", () => {
    assert.isAtLeast(rules.length, 15)
    for (const rule of rules) {
      const name = rule.split("\n")[0]!
      assert.match(name, /^Ampsync[A-Za-z]+$/)
      assert.match(rule, /^ {8}labels: \{ severity: (?:critical|warning|info) \}$/m, name)
      for (const annotation of ["summary", "description", "action"]) {
        assert.match(rule, new RegExp(`^ {10}${annotation}: .{15,}$`, "m"), name)
      }
      assert.match(alertTests, new RegExp(`alertname(?:: |=")${name}\\b`), `a test names ${name}`)
    }
  })
})

describe.skipIf(promtoolUnavailable !== undefined)(
  `promtool${promtoolUnavailable === undefined ? "" : ` (${promtoolUnavailable})`}`,
  () => {
    it("accepts the alerts, and their tests pass", () => {
      for (
        const args of [["check", "rules", "docs/prometheus/alerts.yaml"], [
          "test",
          "rules",
          "docs/prometheus/alerts.test.yaml"
        ]]
      ) {
        const { output, status } = promtool(args.map((arg) => arg.startsWith("docs/") ? join(root, arg) : arg))
        assert.strictEqual(status, 0, output)
      }
    })

    it("can parse every query of the dashboard and of docs/metrics.md", () => {
      const queries = [...textsOf(dashboard, "expr"), ...documented].map(filled)
      const directory = mkdtempSync(join(tmpdir(), "ampsync-rules-"))
      try {
        const file = join(directory, "queries.yaml")
        const rules = queries.map((expr, index) => ({ record: `query_${index}`, expr }))
        // JSON is YAML.
        writeFileSync(file, JSON.stringify({ groups: [{ name: "queries", rules }] }))
        const { output, status } = promtool(["check", "rules", file])
        assert.strictEqual(status, 0, output)
        assert.include(output, `${queries.length} rules found`)
      } finally {
        rmSync(directory, { recursive: true })
      }
    })
  }
)
