/** The head of the page: what the process does as a whole, and what it is. */
import { formatCount } from "../../../../domain/numbers.ts"
import type { Status } from "../../../../services/HealthApi.ts"
import { headline } from "./headline.ts"
import { type Html, html } from "./html.ts"
import { icon } from "./state.ts"
import { ago, since } from "./time.ts"

export const processSection = (status: Status, nowMillis: number): Html => {
  const { text, tone } = headline(status)
  return html`<section class="process ${tone}" aria-labelledby="state"><h1 id="state">${icon(tone)} ${text}</h1>${
    readiness(status, nowMillis)
  }${facts(status, nowMillis)}</section>`
}

const readiness = ({ ready, reasons }: Status, nowMillis: number): Html =>
  ready
    ? html`<p class="ready"><strong>Ready</strong>: probes of /readyz are answered with 200.</p>`
    : html`<p class="ready"><strong>Not ready</strong>: probes of /readyz are answered with 503.</p><ul class="reasons">${
      reasons.map(({ message, since: began }) =>
        html`<li>${message}${began === null ? undefined : html` <small>for ${since(began, nowMillis)}</small>`}</li>`
      )
    }</ul>`

const facts = (status: Status, nowMillis: number): Html => {
  const { config, last_reload: reload } = status
  return html`<dl class="facts">${fact("Dataset", config?.dataset ?? "none")}${
    config === null || config.version === null ? undefined : fact("Dataset version", config.version)
  }${fact("Server", config?.dialect ?? "unknown")}${
    config === null
      ? undefined
      : fact("Config", html`<code title="${config.fingerprint}">${config.fingerprint.slice(0, 12)}</code>`)
  }${fact("Ampsync", status.version)}${fact("Up for", since(status.started_at, nowMillis))}${
    fact("Heartbeat", status.heartbeat_at === null ? "none yet" : ago(status.heartbeat_at, nowMillis))
  }${fact("Last reload", reload === null ? "none" : html`${reload.outcome} ${ago(reload.at, nowMillis)}`)}${
    status.permits === null
      ? undefined
      : fact("Writing now", `${formatCount(status.permits.in_use)} of at most ${formatCount(status.permits.total)}`)
  }</dl>${
    reload === null || reload.reason === null
      ? undefined
      : html`<p class="error">The last reload failed, and the config before it stays active: ${reload.reason}</p>`
  }`
}

const fact = (name: string, value: Html | string): Html => html`<div><dt>${name}</dt><dd>${value}</dd></div>`
