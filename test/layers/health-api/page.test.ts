import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { committed, connected, reorged } from "../../doubles/statusEvents.ts"
import { config, QUERY, ready, serving } from "../../support/servingHealth.ts"

const page = (address: string) =>
  Effect.promise(async () => {
    const response = await fetch(`http://${address}/`, { headers: { connection: "close" } })
    return { status: response.status, headers: response.headers, html: await response.text() }
  })

const contentOf = (html: string, tag: string): string => new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(html)![1]!

const hashOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

const VOID = ["meta", "link"]

/** What is no text, no whole tag, or a tag that does not close in the order of its opening. */
const malformed = (html: string): ReadonlyArray<string> => {
  const markup = html.replace("<!DOCTYPE html>", "").replace(/<(style|script)>[^]*?<\/\1>/g, "")
  const tags = /<(\/?)([a-z][a-z0-9]*)(?:\s+[\w-]+(?:="[^"<>]*")?)*\s*(\/?)>/gi
  const open: Array<string> = []
  const wrong: Array<string> = []
  for (const [tag, slash, name, isEmpty] of markup.matchAll(tags)) {
    if (VOID.includes(name!) || isEmpty !== "") continue
    if (slash === "") open.push(name!)
    else if (open.pop() !== name) wrong.push(tag)
  }
  return [...wrong, ...open, ...markup.replaceAll(tags, "").match(/.{0,40}[<>].{0,40}/g) ?? []]
}

describe("the status page", () => {
  it.effect("allows its own script and style, requests to its own server, and nothing else", () =>
    Effect.gen(function*() {
      const { address } = yield* serving()
      const { headers, html, status } = yield* page(address)
      assert.strictEqual(status, 200)
      assert.strictEqual(headers.get("content-type"), "text/html; charset=utf-8")
      assert.strictEqual(headers.get("cache-control"), "no-store")
      assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
      assert.sameMembers(headers.get("content-security-policy")!.split("; "), [
        "default-src 'none'",
        `script-src ${hashOf(contentOf(html, "script"))}`,
        `style-src ${hashOf(contentOf(html, "style"))}`,
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'"
      ])
      assert.notMatch(html, /<[^>]*\s(style|on\w+)=/)
    }))

  it.effect("is one document that refers to nothing elsewhere", () =>
    Effect.gen(function*() {
      const { address } = yield* ready
      const { html } = yield* page(address)
      assert.deepStrictEqual(malformed(html), [])
      // The name of a language, which nobody asks for.
      const text = html.replaceAll("http://www.w3.org/2000/svg", "")
      assert.notMatch(text, /https?:|url\(|@import|<iframe|<base/i)
      const targets = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, target]) => target!)
      const links = targets.filter((target) => !target.startsWith("data:"))
      assert.deepStrictEqual(links, ["status", "readyz", "metrics", "openapi.json"])
    }))

  it.effect("shows the first state without its script: process, tables, figures and reorgs", () =>
    Effect.gen(function*() {
      const { address, recorder } = yield* ready
      yield* recorder.record(
        "logs",
        committed({
          rowsAdded: 1_234_567,
          rowsRemoved: 5,
          reorgs: [reorged(10_016n, 3n)],
          watermark: 10_029n,
          lastBlock: 10_029n,
          stages: { sourceWaitMillis: 7_000, encodeMillis: 1_000, storageWaitMillis: 2_000 }
        })
      )
      yield* recorder.record("logs", { _tag: "HeadRead", head: { block: 10_031n, atSeconds: undefined } })
      const { html } = yield* page(address)
      const text = html.replaceAll(/<(style|script|title)>[^]*?<\/\1>/g, "").replaceAll(/<[^>]+>/g, " ")
        .replaceAll(/\s+/g, " ")
      for (
        const part of [
          "Table logs is catching up Ready",
          "Dataset _/example@0.1.0",
          "Server amp",
          "Rows 1,234,602",
          "Watermark 10,029",
          "Lag 2 blocks",
          "10,016 to 10,018",
          "Rows deleted 5",
          "70 % waiting for the source",
          "20 % waiting for the database",
          "Without JavaScript this page shows one moment"
        ]
      ) assert.include(text, part)
      assert.include(html, "<title>↑ Table logs is catching up – _/example@0.1.0 – Ampsync</title>")
      assert.include(html, "<noscript>")
    }))

  it.effect("shows why it is not ready, and the state of each table", () =>
    Effect.gen(function*() {
      const { address, recorder } = yield* serving()
      const { html: before } = yield* page(address)
      assert.include(before, "no config is active: the process is starting, or it is being stopped")
      yield* recorder.begin(["logs", "blocks"])
      yield* recorder.activated({ ...config, tables: ["logs", "blocks"] })
      yield* recorder.heartbeat
      yield* recorder.record("logs", connected())
      yield* recorder.record("blocks", { _tag: "Parked", reason: "a relation of this name exists" })
      const { html } = yield* page(address)
      assert.include(html, "<title>✕ 1 parked, 1 catching up")
      assert.include(html, "<strong>Not ready</strong>")
      assert.include(html, "table &#39;blocks&#39; is parked: a relation of this name exists")
    }))

  it.effect("shows names and messages as text whatever they contain, and no text of a query", () =>
    Effect.gen(function*() {
      const { address, recorder } = yield* serving()
      const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>&amp;`
      yield* recorder.begin([hostile])
      yield* recorder.activated({
        ...config,
        dataset: hostile,
        version: hostile,
        fingerprint: hostile,
        tables: [hostile]
      })
      yield* recorder.record(hostile, committed({ reorgs: [reorged(1n, 1n)] }))
      yield* recorder.record(hostile, { _tag: "Failed", attempts: 1, reason: `earlier ${hostile}` })
      yield* recorder.record(hostile, { _tag: "Failed", attempts: 5, reason: `${hostile} for ${QUERY}` })
      yield* recorder.reloaded(`${hostile} for ${QUERY}`)
      const { html } = yield* page(address)
      assert.deepStrictEqual(malformed(html), [])
      assert.lengthOf(html.match(/<script/g)!, 1)
      assert.notInclude(html, "<img")
      assert.include(
        html,
        "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&gt;&lt;img src=x onerror=alert(2)&gt;&amp;amp;"
      )
      assert.notInclude(html, "secret_column")
      assert.notInclude(html, "hunter2")
    }))

  it.live("has the script that its sources come to", () =>
    Effect.promise(() => {
      const build = fileURLToPath(new URL("../../../scripts/build-page.mjs", import.meta.url))
      return promisify(execFile)(process.execPath, [build, "--check"])
    }))
})
