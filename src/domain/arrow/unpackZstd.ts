import { decompress } from "fzstd"

/**
 * Unpacks one frame of ZSTD that must hold exactly `sizeBytes` bytes.
 *
 * Throws on damaged input. The blocks are measured before any memory is allocated, so a damaged size costs nothing. The library
 * pads a frame that is too short, so a known last block is appended to the frame, which must be at the end of the result.
 *
 * Shape: magic, descriptor, window, dictionary, content size, then blocks of a uint24 header and bytes up to one that is marked
 * as the last, then a checksum if flagged. Source: RFC 8878, section 3.1.1.
 */
export const unpackZstd = (bytes: Uint8Array, sizeBytes: number): Uint8Array => {
  const blocks = readBlocks(bytes, readHeader(bytes, sizeBytes), sizeBytes)
  const frame = new Uint8Array(HEADER_BYTES + blocks.end - blocks.start + BLOCK_HEADER_BYTES + END_MARK.length)
  const view = viewOf(frame)
  view.setUint32(0, MAGIC, true)
  frame[4] = SINGLE_SEGMENT | FOUR_BYTE_SIZE
  view.setUint32(5, sizeBytes + END_MARK.length, true)
  frame.set(bytes.subarray(blocks.start, blocks.end), HEADER_BYTES)
  frame[HEADER_BYTES + blocks.last - blocks.start]! &= ~LAST_BLOCK
  const mark = frame.length - END_MARK.length
  frame[mark - BLOCK_HEADER_BYTES] = (END_MARK.length << 3) | (RAW << 1) | LAST_BLOCK
  frame.set(END_MARK, mark)
  const unpacked = decompress(frame)
  if (!END_MARK.every((byte, index) => unpacked[sizeBytes + index] === byte)) throw damaged()
  return unpacked.subarray(0, sizeBytes)
}

const MAGIC = 0xfd2fb528
const SINGLE_SEGMENT = 0x20
const FOUR_BYTE_SIZE = 0x80
const HEADER_BYTES = 9
const BLOCK_HEADER_BYTES = 3
const LAST_BLOCK = 1
const [RAW, RLE, COMPRESSED] = [0, 1, 2]
/** The most bytes of one block. */
const BLOCK_BYTES = 128 * 1024
/** Bytes that do not occur by chance after content that ends too early. */
const END_MARK = new TextEncoder().encode("\u0007end of the frame")

const damaged = () => new RangeError("the frame is damaged, or contains another number of bytes than was declared")

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Checks the header and returns the offset of the first block. */
const readHeader = (bytes: Uint8Array, sizeBytes: number): number => {
  const view = viewOf(bytes)
  const descriptor = view.getUint8(4)
  const [sizeFlag, isSingleSegment] = [descriptor >> 6, (descriptor & SINGLE_SEGMENT) !== 0]
  const isReadable = view.getUint32(0, true) === MAGIC && (descriptor & (RESERVED | DICTIONARY)) === 0
  if (!isReadable) throw damaged()
  const at = isSingleSegment ? 5 : 6
  switch (sizeFlag) {
    case 0:
      if (isSingleSegment && view.getUint8(at) !== sizeBytes) throw damaged()
      return isSingleSegment ? at + 1 : at
    case 1:
      if (view.getUint16(at, true) + 256 !== sizeBytes) throw damaged()
      return at + 2
    case 2:
      if (view.getUint32(at, true) !== sizeBytes) throw damaged()
      return at + 4
    default:
      if (view.getBigUint64(at, true) !== BigInt(sizeBytes)) throw damaged()
      return at + 8
  }
}

const RESERVED = 0x08
const DICTIONARY = 0x03
const CHECKSUM = 0x04

/** The offsets of the first block, of the end, and of the last block's header. */
const readBlocks = (bytes: Uint8Array, start: number, sizeBytes: number) => {
  const view = viewOf(bytes)
  // The least and the most bytes that all blocks together contain.
  let [least, most] = [0, 0]
  let at = start
  for (;;) {
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16)
    const [type, size] = [(header >> 1) & 3, header >> 3]
    if (type > COMPRESSED || size > BLOCK_BYTES) throw damaged()
    least += type === COMPRESSED ? 0 : size
    most += type === COMPRESSED ? BLOCK_BYTES : size
    const last = at
    at += BLOCK_HEADER_BYTES + (type === RLE ? 1 : size)
    if (at > bytes.length || least > sizeBytes) throw damaged()
    if ((header & LAST_BLOCK) === 0) continue
    const checksumBytes = (view.getUint8(4) & CHECKSUM) === 0 ? 0 : 4
    if (most < sizeBytes || at + checksumBytes !== bytes.length) throw damaged()
    return { start, end: at, last }
  }
}
