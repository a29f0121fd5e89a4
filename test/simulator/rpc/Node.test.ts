import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { makeNode } from "../../../src/simulator/rpc/Node.ts"

/** A node that takes one login, and whose answer to every call is `result`. */
const nodeWith = (result: unknown) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const server = createServer((request, response) => {
          const login = `Basic ${Buffer.from("me:s@cret").toString("base64")}`
          response.statusCode = request.headers.authorization === login ? 200 : 401
          response.end(JSON.stringify([{ id: 0, result }, { id: 1, result: [] }]))
        })
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
        return server
      }),
      (server) =>
        Effect.promise(() =>
          new Promise((resolve) => {
            server.close(resolve)
            server.closeAllConnections()
          })
        )
    ),
    (server) => (login: string) =>
      makeNode(new URL(`http://${login}127.0.0.1:${(server.address() as AddressInfo).port}/key`))
  )

describe("a node", () => {
  it.live("gets the login of its URL, which no message has, nor its path", () =>
    Effect.gen(function*() {
      const node = yield* nodeWith("0x1f")
      assert.strictEqual(yield* node("me:s%40cret@").head, 31n)
      for (const login of ["", "me:other@"]) {
        assert.match(
          (yield* Effect.flip(node(login).head)).message,
          /^cannot read the chain of the node at http:\/\/127\.0\.0\.1:\d+ \(--evm-rpc\): HTTP 401$/
        )
      }
    }))

  it.live("that answers with something else than a number or a block is an error, after which it is asked again", () =>
    Effect.gen(function*() {
      for (const answer of ["0x", 31, { hash: "0x00" }]) {
        const node = (yield* nodeWith(answer))("me:s%40cret@")
        assert.strictEqual((yield* Effect.flip(node.head))._tag, "NodeError")
        assert.strictEqual((yield* Effect.flip(node.blocks(1n, 1n)))._tag, "NodeError")
      }
    }))
})
