/** A collector of OpenTelemetry on port 4318 that drops what it receives, until it is stopped: `node scripts/bench/collector.mjs`. */
import { createServer } from "node:http"

createServer((request, response) => {
  request.resume().on("end", () => response.end())
}).listen(4318, "127.0.0.1")
