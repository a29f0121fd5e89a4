import lz4 from "lz4js"
import type { Decompress } from "./readColumns.ts"
import { unpackZstd } from "./unpackZstd.ts"

/**
 * Unpacks the buffers of compressed record batches: frames of LZ4 and ZSTD, as Arrow has them.
 *
 * Throws on damaged input, and where it holds another number of bytes than `sizeBytes`, which the batch declares.
 */
export const decompress: Decompress = (codec, bytes, sizeBytes) =>
  codec === "zstd" ? unpackZstd(bytes, sizeBytes) : unpackLz4(bytes, sizeBytes)

/** Most bytes that one packed byte can stand for: lengths are written in bytes of 255. Source: lz4_Block_format.md. */
const LZ4_RATIO = 255

const unpackLz4 = (bytes: Uint8Array, sizeBytes: number): Uint8Array => {
  if (sizeBytes > LZ4_RATIO * bytes.length) throw new RangeError("the frame is too short for what it is said to hold")
  checkLz4Blocks(bytes)
  const target = new Uint8Array(sizeBytes)
  const written = lz4.decompressFrame(bytes, target)
  // Bytes past the end of the target are dropped by the library, so only the count tells.
  if (written !== sizeBytes) throw new RangeError("the frame holds another number of bytes than was said")
  return target
}

const UNCOMPRESSED = 0x80000000

/**
 * Walks the blocks of a frame without unpacking them: the library follows lengths that lead out of its input.
 *
 * Shape: magic, flags, block size, content size if flagged, header checksum, then blocks of uint32 length and bytes (a
 * checksum after each if flagged) up to a length of 0. Source: lz4_Frame_format.md.
 */
const checkLz4Blocks = (bytes: Uint8Array): void => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const flags = view.getUint8(4)
  const checksumBytes = (flags & 0x10) === 0 ? 0 : 4
  let at = 7 + ((flags & 0x08) === 0 ? 0 : 8)
  for (let size = view.getUint32(at, true); size !== 0; size = view.getUint32(at, true)) {
    at += 4 + (size & ~UNCOMPRESSED) + checksumBytes
  }
}
