/** The event stream of the server, as long as it lasts. */

export interface Events {
  /** Anything has come, also what is no event. `serverMillis` is the server's time as of the connect. */
  readonly onSign: () => void
  readonly onConnect: (serverMillis: number) => void
  readonly onEvent: (data: string) => void
}

/**
 * Reads the stream until it ends, and fails with the reason where it does not begin.
 *
 * `EventSource` would hide the keep-alives, the only signs of a connection that still is one, and the words of a refusal.
 */
export const readEvents = async (url: string, events: Events, signal: AbortSignal): Promise<void> => {
  const response = await fetch(url, { signal, headers: { accept: "text/event-stream" }, cache: "no-store" })
  if (!response.ok || response.body === null) throw new Error(await reasonOf(response))
  events.onConnect(Date.parse(response.headers.get("date") ?? "") || Date.now())
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ""
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    events.onSign()
    const blocks = (text + value).split("\n\n")
    text = blocks.pop()!
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n")
      if (data !== "") events.onEvent(data)
    }
  }
}

const reasonOf = async (response: Response): Promise<string> => {
  const text = await response.text()
  try {
    return JSON.parse(text).message ?? `HTTP ${response.status}`
  } catch {
    return `HTTP ${response.status}`
  }
}
