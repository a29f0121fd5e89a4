import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { keccak256, sponge256 } from "../../../src/simulator/evm/keccak.ts"

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

describe("keccak256", () => {
  it("gives the published hashes of known texts", () => {
    const vectors = {
      "": "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
      "abc": "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45",
      "Transfer(address,address,uint256)": "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
      "Approval(address,address,uint256)": "8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"
    }
    for (const [text, hash] of Object.entries(vectors)) assert.strictEqual(hex(keccak256(Buffer.from(text))), hash)
  })

  it("is SHA3-256 of Node but for the padding, whatever the length", () => {
    for (const length of [0, 1, 7, 8, 135, 136, 137, 271, 272, 1000]) {
      const message = Uint8Array.from({ length }, (_, i) => (i * 31) & 0xff)
      assert.strictEqual(
        hex(sponge256(message, 0x06)),
        createHash("sha3-256").update(message).digest("hex"),
        `${length}`
      )
    }
  })
})
