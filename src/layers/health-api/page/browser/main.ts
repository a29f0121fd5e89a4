/** Keeps the page up to date, and shows plainly when it is not. Compiled into `script.ts` by `npm run page`. */
import type { Status } from "../../../../services/HealthApi.ts"
import { headline } from "../view/headline.ts"
import { favicon, type Tone } from "../view/state.ts"
import { announcement, view } from "../view/view.ts"
import { readEvents } from "./events.ts"
import { morph } from "./morph.ts"

/** The server sends something every five seconds. */
const SILENCE_MILLIS = 12_000
const RETRY_MILLIS = 2_000

const element = (id: string): HTMLElement => document.getElementById(id)!
const icon = document.querySelector<HTMLLinkElement>("link[rel=icon]")!

let status: Status | undefined
/** The server's clock minus this one's, in milliseconds. */
let ahead = 0
let lastSign = Date.now()
let isLive = false

const show = (next: string, title: string, tone: Tone | "lost"): void => {
  document.documentElement.dataset["connection"] = next
  if (document.title !== title) document.title = title
  if (icon.href !== favicon(tone)) icon.href = favicon(tone)
}

const render = (): void => {
  if (status === undefined || !isLive) return
  const { title, tone } = headline(status)
  show("live", title, tone)
  if (document.hidden) return
  const parsed = document.createElement("main")
  parsed.id = "main"
  parsed.innerHTML = view(status, Date.now() + ahead).text
  morph(element("main"), parsed)
}

const receive = (data: string): void => {
  const next = JSON.parse(data) as Status
  const words = status === undefined ? "" : announcement(status, next)
  if (words !== "") element("changes").textContent = words
  status = next
  if (!isLive) {
    isLive = true
    element("lost").textContent = ""
    element("live").textContent = "live"
  }
  render()
}

/** What is shown stays as it was: ages that go on would look like news. */
const lose = (reason: string): void => {
  if (isLive || element("lost").textContent === "") {
    const time = new Date(lastSign).toLocaleTimeString("en-GB")
    element("lost").textContent = `Connection to ampsync lost since ${time}; what is below is old`
    show("lost", `✕ Connection lost – ${document.title.replace(/^. /u, "")}`, "lost")
  }
  isLive = false
  element("live").textContent = `${reason}; trying again`
}

/** The browser's own words for an unreachable server differ and explain nothing. */
const reasonOf = (cause: unknown): string =>
  cause instanceof Error && !(cause instanceof TypeError) ? cause.message : "no answer"

const follow = async (): Promise<void> => {
  const abort = new AbortController()
  let sign = Date.now()
  const watch = setInterval(() => {
    if (Date.now() - sign > SILENCE_MILLIS) abort.abort(new Error("the connection is silent"))
  }, 1_000)
  try {
    await readEvents("events", {
      onSign: () => lastSign = sign = Date.now(),
      onConnect: (serverMillis) => ahead = serverMillis - Date.now(),
      onEvent: receive
    }, abort.signal)
    lose("the server closed the connection")
  } catch (cause) {
    lose(reasonOf(cause))
  } finally {
    clearInterval(watch)
  }
}

setInterval(render, 1_000)
document.addEventListener("visibilitychange", render)
void (async () => {
  for (;;) {
    await follow()
    await new Promise((resolve) => setTimeout(resolve, RETRY_MILLIS))
  }
})()
