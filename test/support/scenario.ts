export const network = "anvil"
export const hashOf = (block: bigint, branch: string): string => {
  const text = `${branch} ${block}`
  const hex = Array.from(new TextEncoder().encode(text), (byte) => byte.toString(16).padStart(2, "0")).join("")
  return `0x${hex.padStart(64, "0")}`
}
