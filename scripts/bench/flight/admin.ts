/** The part of the Admin API of amp that a sync with DATASET and TABLES needs. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { NETWORK } from "./rows.ts"

/** What DATASET is to be. */
export const DATASET = "_/bench@1.0.0"

/** Where the product reads the head of the chain. */
const BLOCKS = "blocks"

const versions = {
  namespace: "_",
  name: "bench",
  versions: [{
    version: "1.0.0",
    manifest_hash: "a".repeat(64),
    created_at: "2026-01-01T00:00:00Z",
    updated_at: "2026-01-01T00:00:00Z"
  }],
  special_tags: { latest: "1.0.0", dev: null }
}

/** Serves on a free port of the loopback, which is the answer. */
export const serveAdmin = (tables: () => ReadonlyArray<string>): Promise<number> => {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? "")
    const manifest = () => ({
      kind: "evm-rpc",
      network: NETWORK,
      tables: Object.fromEntries([...tables(), BLOCKS].map((table) => [table, { network: NETWORK }]))
    })
    const found = path === "/datasets/_/bench/versions"
      ? versions
      : path === "/datasets/_/bench/versions/1.0.0/manifest"
      ? manifest()
      : undefined
    response.writeHead(found === undefined ? 404 : 200, { "content-type": "application/json" })
    response.end(JSON.stringify(found ?? { error_code: "NOT_FOUND", error_message: path }))
  })
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port))
  })
}
