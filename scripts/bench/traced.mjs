/** A build for `--main`: `dist/main.js` with traces and metrics on, to the collector of `collector.mjs`. */
process.env.OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:4318"
await import("../../dist/main.js")
