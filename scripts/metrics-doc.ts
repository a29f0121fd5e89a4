/** The text of docs/metrics.md, made from the definitions of the metrics. */
import type { HistogramDefinition, MetricDefinition } from "../src/domain/metrics/Metric.ts"
import { metricSections } from "../src/domain/metrics/metricSections.ts"

const cell = (text: string): string => text.replaceAll("|", "\\|")
const row = (cells: ReadonlyArray<string>): string => `| ${cells.map(cell).join(" | ")} |`
const code = (text: string): string => `\`${text}\``

/** `{row}` is what OpenTelemetry writes; `{info}` has no unit. */
const unitOf = ({ unit }: MetricDefinition): string => {
  if (unit === "{info}") return ""
  const one = /^\{(.+)\}$/.exec(unit)?.[1]
  return one === undefined ? unit : `${one}s`
}

const table = (section: keyof typeof metricSections): string =>
  [
    row(["name", "type", "unit", "labels", "meaning"]),
    row(["---", "---", "---", "---", "---"]),
    ...metricSections[section].map((metric) =>
      row([
        code(metric.name),
        metric.type,
        unitOf(metric),
        metric.labels.map(code).join(", "),
        `${metric.description}${bucketsOf(metric)}`
      ])
    )
  ].join("\n")

const bucketsOf = (metric: MetricDefinition): string =>
  metric.type === "histogram" ? `; buckets ${(metric as HistogramDefinition).boundaries.join(", ")}` : ""

export const metricsDoc = `# Metrics

Made from the code by \`npm run docs\`; a test fails when it is not current.

\`/metrics\` has the figures of the process in the text format of Prometheus, at the port of \`HEALTH_PORT\`. Names, labels and
units are an interface: a change of one is in the [changelog](../CHANGELOG.md). No label has a secret, a value of a row or a text
of a query.

\`\`\`text
scrape_configs:
  - job_name: ampsync
    scrape_interval: 15s
    static_configs:
      - targets: ["ampsync:8080"]
\`\`\`

A scrape reads memory only, so it is answered while the database is down, the server is silent or a table is parked. The figures
are those of [\`/status\`](monitoring.md#http-endpoints) at that moment.

The same metrics are exported to a collector of OpenTelemetry where one is [set](tracing.md), with their units, which are an
attribute \`unit\` there as well. A program with a sync [inside](library.md#metrics) exports them with its own.

What is not known has no series: a lag that could not be measured is missing, and never 0. A table that leaves the config, and a
process that ends, take their series with them. Counters count from the start of the process; those of a table that comes back
into the config begin at 0 again, which \`rate\` and \`increase\` allow for.

## Tables

${table("table")}

The states are those of [operating](operating.md#states). A table that another process writes is \`standby\` here, and what this
process does not read has no series: take \`max by (table)\` over all processes.

## The sync

${table("sync")}

## The process

${table("process")}

## Questions and queries

| question | PromQL |
| --- | --- |
| Is every table synced? | \`min by (instance) (ampsync_ready)\` |
| Which tables do not work? | \`ampsync_table_state{state=~"stalled\\|parked\\|diverged"} == 1\` |
| How far behind is each table? | \`max by (table) (ampsync_table_lag_blocks)\`, with amp servers \`max by (table) (ampsync_table_lag_seconds)\` |
| How old is what readers see? | \`time() - max by (table) (ampsync_table_watermark_timestamp_seconds)\` |
| How long has nothing come? | \`time() - max by (table) (ampsync_table_watermark_moved_timestamp_seconds)\` |
| Rows and bytes per second | \`sum by (table) (rate(ampsync_table_rows_committed_total[1m]))\`, \`sum by (table) (rate(ampsync_table_bytes_committed_total[1m]))\` |
| When will it have caught up? | \`max by (table) (ampsync_table_lag_blocks) / sum by (table) (rate(ampsync_table_blocks_committed_total[5m]))\` seconds |
| Who is the bottleneck? | \`sum by (stage) (rate(ampsync_stage_seconds_total[5m])) / ignoring (stage) group_left sum (rate(ampsync_stage_seconds_total[5m]))\` |
| How long does a commit take? | \`histogram_quantile(0.99, sum by (le) (rate(ampsync_table_commit_seconds_bucket[5m])))\` |
| How large are transactions? | \`sum(rate(ampsync_table_chunk_rows_sum[5m])) / sum(rate(ampsync_table_chunk_rows_count[5m]))\` rows |
| How many reorgs, and how deep? | \`sum by (table) (increase(ampsync_table_reorgs_total[1d]))\`, \`histogram_quantile(1, sum by (le) (increase(ampsync_table_reorg_depth_blocks_bucket[1d])))\` |
| Are more permits needed? | \`ampsync_permits_in_use / ampsync_permits\`: 1 for long means that tables wait for each other |

[Tracing](tracing.md#who-is-the-bottleneck) has what counts to each stage, and what to do about the one that takes the time.

## Dashboard and alerts

[grafana/ampsync.json](grafana/ampsync.json) is a dashboard: import it in Grafana, and choose the data source at its top. It shows
state, lag, rows and bytes per second, which stage is the bottleneck, commits, permits, reorgs with their depth, failures, and the
process, for one, several or all tables and processes.

[prometheus/alerts.yaml](prometheus/alerts.yaml) has alerts, each with what to do: a process that is gone, is started again and
again or has no heartbeat; tables that are stalled, parked, diverged or stand still; a lag that does not shrink; deep reorgs; a
rejected config; and whether the database or the server is the bottleneck. Add it to \`rule_files\`, and correct the name of the job
and the thresholds. \`promtool test rules docs/prometheus/alerts.test.yaml\` checks them after that.
`
