declare module "lz4js" {
  /** Unpacks one frame into `target` and gives the number of bytes it holds. */
  const lz4: { readonly decompressFrame: (source: Uint8Array, target: Uint8Array) => number }
  export default lz4
}
