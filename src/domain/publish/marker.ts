/** The end of a view's comment by which a publication knows its own views. */
import { quoteIdentifier } from "../postgres/table/identifiers.ts"
import type { FoundTarget } from "./ViewFacts.ts"

/** Of a view that shows a table of `schema`. */
export const marker = (schema: string): string => `(published by ampsync from schema ${quoteIdentifier(schema)})`

/** Whether a view was made by a publication, which its comment records. */
export const isPublished = ({ comment, kind }: Pick<FoundTarget, "comment" | "kind">): boolean =>
  kind === "v" && /\(published by ampsync from schema ".*"\)$/s.test(comment ?? "")
