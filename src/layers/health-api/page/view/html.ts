/** HTML as values: a text that is put into a template is escaped, HTML that was made here is not. */

export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** What a template may hold; absent parts are left out. */
export type Part = Html | string | number | undefined | ReadonlyArray<Part>

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&#39;"
}

/** Safe between tags and inside of quoted attributes. */
export const escapeText = (text: string): string => text.replaceAll(/[&<>"']/g, (char) => ENTITIES[char]!)

const textOf = (part: Part): string => {
  if (part === undefined) return ""
  if (part instanceof Html) return part.text
  if (typeof part === "object") return part.map(textOf).join("")
  return escapeText(String(part))
}

/** A piece of HTML. Attribute values must be quoted in the template. */
export const html = (strings: TemplateStringsArray, ...parts: ReadonlyArray<Part>): Html =>
  new Html(strings.reduce((text, piece, index) => text + textOf(parts[index - 1]) + piece))
