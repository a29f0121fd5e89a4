/**
 * Hashes a text to 128 bits, as 32 hexadecimal digits.
 *
 * It detects a changed text; it does not withstand a deliberate collision.
 * Source: FNV-1a, draft-eastlake-fnv, 128-bit prime and offset basis, over the UTF-8 bytes.
 */
export const fingerprint = (text: string): string => {
  let hash = offsetBasis
  for (const byte of new TextEncoder().encode(text)) hash = ((hash ^ BigInt(byte)) * prime) & mask
  return hash.toString(16).padStart(32, "0")
}

const offsetBasis = 0x6c62272e07bb014262b821756295c58dn
const prime = 0x0000000001000000000000000000013bn
const mask = (1n << 128n) - 1n
