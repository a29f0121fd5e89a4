import { Shape, ShapeStream } from "./electric.js"

const SHOWN = 15

// A bytea as ElectricSQL sends it: PostgreSQL's text, which is hexadecimal behind a backslash and an x.
const shortHash = (text) => `0x${text.slice(2, 12)}...${text.slice(-6)}`

const follow = (table) =>
  new ShapeStream({
    url: new URL(`shapes/${table}`, location.href).href,
    onError: ({ message }) => {
      document.getElementById("state").textContent = `No connection: ${message}`
    }
  })

const element = (name, text, className = "") =>
  Object.assign(document.createElement(name), { textContent: text, className })
const row = (...cells) => {
  const tr = document.createElement("tr")
  tr.append(...cells)
  return tr
}
const fill = (id, children) => document.getElementById(id).replaceChildren(...children)

// Blocks that were shown and are gone, newest first: a reorg replaced them.
let replaced = []
const watermarks = new Map()
let blocks = []

const show = () => {
  const complete = watermarks.get("blocks") ?? -1n
  const newest = blocks.toSorted((a, b) => (a._block_num < b._block_num ? 1 : -1)).slice(0, SHOWN)
  fill(
    "blocks",
    newest.map((block) =>
      row(
        element("td", `${block._block_num}`),
        element("td", new Date(block.timestamp).toLocaleTimeString()),
        element("td", shortHash(block.hash), "hash"),
        element("td", `${block.gas_used}`),
        element("td", block._block_num <= complete ? "complete" : "provisional")
      )
    )
  )
  fill(
    "replaced",
    replaced.map((block) => row(element("td", `${block._block_num}`), element("td", shortHash(block.hash), "hash")))
  )
  document.getElementById("state").textContent = `${blocks.length} blocks, complete up to ${complete}`
}

new Shape(follow("blocks")).subscribe(({ rows }) => {
  const hashes = new Set(rows.map(({ hash }) => hash))
  const gone = blocks.filter(({ hash }) => !hashes.has(hash)).toSorted((a, b) => (a._block_num < b._block_num ? 1 : -1))
  replaced = [...gone, ...replaced].slice(0, SHOWN)
  blocks = rows
  show()
})
new Shape(follow("_ampsync_checkpoints")).subscribe(({ rows }) => {
  for (const { max_block_num: block, table_name: table } of rows) watermarks.set(table, block)
  show()
})
new Shape(follow("_ampsync_reorgs")).subscribe(({ rows }) => {
  const newest = rows.filter((reorg) => reorg.table_name === "blocks").toSorted((a, b) => (a.id < b.id ? 1 : -1))
  fill(
    "reorgs",
    newest.slice(0, SHOWN).map((reorg) =>
      element(
        "li",
        `${new Date(reorg.seen_at).toLocaleTimeString()}: ${reorg.depth} blocks from ${reorg.first_block} on`
      )
    )
  )
})
