import { requireNode } from "../layers/node/requireNode.ts"

/** Starts the program where this Node can load it: an older one fails at its imports. */
export const start = (): void => {
  if (requireNode()) void import("./begin.ts").then(({ begin }) => begin())
}
