// Sends a transaction every second, and replaces the last three blocks every 20 seconds. With --reorg it replaces them once, and with
// --check it asks whether the node answers.
const url = process.env.RPC_URL ?? "http://127.0.0.1:8545"
const FROM = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
const TO = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
const REORG_EVERY = 20
const REORG_DEPTH = 3

const call = async (method, ...params) => {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })
  })
  const { error, result } = await response.json()
  if (error !== undefined) throw new Error(`${method}: ${error.message}`)
  return result
}

const reorg = async () => {
  if (BigInt(await call("eth_blockNumber")) <= REORG_DEPTH) return
  await call("anvil_reorg", REORG_DEPTH, [])
  console.log(`replaced the last ${REORG_DEPTH} blocks`)
}

const step = async (count) => {
  await call("eth_sendTransaction", { from: FROM, to: TO, value: `0x${count.toString(16)}` })
  if (count % REORG_EVERY === 0) await reorg()
}

if (process.argv.includes("--check")) await call("eth_chainId")
else if (process.argv.includes("--reorg")) await reorg()
else {
  for (let count = 1;; count += 1) {
    await step(count).catch((error) => console.error(error.message))
    await new Promise((resolve) => setTimeout(resolve, 1000))
  }
}
