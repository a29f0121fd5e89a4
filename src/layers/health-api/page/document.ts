/** The whole page for one request: complete without its script, which keeps it up to date. */
import { createHash } from "node:crypto"
import { formatTime } from "../../../domain/numbers.ts"
import type { Status } from "../../../services/HealthApi.ts"
import { script } from "./script.ts"
import { style } from "./style.ts"
import { headline } from "./view/headline.ts"
import { Html, html } from "./view/html.ts"
import { favicon } from "./view/state.ts"
import { view } from "./view/view.ts"

const hashOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

/** Nothing is loaded from anywhere, and nothing runs that is not part of the page. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `script-src ${hashOf(script)}`,
  `style-src ${hashOf(style)}`,
  "img-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join("; ")

export const headers: Readonly<Record<string, string>> = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin"
}

/** Links and requests are relative: the page may be served below any path. */
export const document = (status: Status, nowMillis: number): string => {
  const { title, tone } = headline(status)
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="${favicon(tone)}">
<style>${new Html(style)}</style>
</head>
<body>
<header><span class="name">Ampsync</span><span class="live" id="live">as of ${formatTime(nowMillis)}</span></header>
<p class="lost" id="lost" role="alert"></p>
<p class="hidden" id="changes" role="status" aria-live="polite"></p>
<main id="main">${view(status, nowMillis)}</main>
<footer><noscript><p>Without JavaScript this page shows one moment: reload it for the next.</p></noscript><p>The same for programs: <a href="status">status</a>, <a href="readyz">readyz</a>, <a href="metrics">metrics</a>, <a href="openapi.json">openapi.json</a>.</p></footer>
<script>${new Html(script)}</script>
</body>
</html>
`.text
}
