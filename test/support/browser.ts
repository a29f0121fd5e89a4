/** A headless Chromium that comes from npm and reaches nothing but this machine. */
import { Context, Effect, Layer } from "effect"
import { execFile } from "node:child_process"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { type Browser, chromium } from "playwright-core"
import { temporaryDirectory } from "./temporaryDirectory.ts"

const run = promisify(execFile)

/** Why no browser can be started here; undefined where one can. */
export const browserUnavailable: string | undefined = process.platform === "linux" && process.arch === "x64"
  ? undefined
  : `@sparticuz/chromium has a browser for Linux on x64, and this is ${process.platform} on ${process.arch}`

/** The package unpacks the libraries of the browser only where it takes the machine for AWS Lambda. */
const UNPACK = `
import chromium from "@sparticuz/chromium"
chromium.setGraphicsMode = false
await chromium.executablePath()
`

/** All names but that of this machine are unknown to it, and it asks for nothing by itself. */
const ARGUMENTS = [
  "--no-sandbox",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-quic",
  "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
]

const launch = Effect.gen(function*() {
  // Of this user and this run alone: a program that another user unpacked could not be run, or not be trusted.
  const directory = yield* temporaryDirectory
  const libraries = join(directory, "al2023", "lib")
  const executablePath = join(directory, "chromium")
  const environment = {
    PATH: process.env["PATH"] ?? "",
    HOME: directory,
    TMPDIR: directory,
    FONTCONFIG_PATH: directory
  }
  const env = yield* Effect.promise(async () => {
    const unpacking = { ...environment, AWS_EXECUTION_ENV: "AWS_Lambda_nodejs20.x" }
    await run(process.execPath, ["--input-type=module", "--eval", UNPACK], { cwd: import.meta.dirname, env: unpacking })
    const fonts = `<fontconfig><dir>${directory}/fonts</dir><cachedir>${directory}/font-cache</cachedir></fontconfig>`
    await writeFile(join(directory, "fonts.conf"), fonts)
    const starts = await run(executablePath, ["--version"], { env: environment }).then(() => true, () => false)
    // A bare machine lacks libnss3 and libnspr4.
    return starts ? environment : { ...environment, LD_LIBRARY_PATH: libraries }
  })
  return yield* Effect.acquireRelease(
    Effect.promise(() => chromium.launch({ executablePath, args: ARGUMENTS, env })),
    (browser) => Effect.promise(() => browser.close())
  )
})

/** One for all tests of a file. */
export class TestBrowser extends Context.Service<TestBrowser, Browser>()("ampsync/test/TestBrowser") {
  static readonly layer = Layer.effect(TestBrowser, launch)
}
