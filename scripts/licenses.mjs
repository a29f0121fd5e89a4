/**
 * The licenses of the packages whose code is in the bundle, as one text: their authors ask that it travels with the code.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** Licenses that allow what Ampsync is under, the Apache License 2.0, and ask for no more than their own text. */
const ALLOWED = new Set(["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"])

/**
 * The packages whose license is not allowed: `name version (license)`.
 *
 * Of alternatives, `A OR B`, one must be; anything else that is not a single identifier is to be read by somebody first.
 *
 * @param {ReadonlyArray<{ name: string, version: string, license?: string | undefined }>} packages
 * @returns {string[]}
 */
export const notAllowed = (packages) =>
  packages
    .filter(({ license = "" }) =>
      license.includes(" AND ") || !license.replaceAll(/[()]/g, "").split(" OR ").some((name) => ALLOWED.has(name))
    )
    .map(({ license = "no license", name, version }) => `${name} ${version} (${license})`)

/** The folder of the package that a file belongs to, from the last `node_modules` in its path on; undefined for our own files. */
const packageFolder = (file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0]

const LICENSE_FILE = /^(licen[cs]e|copying|notice)([.-].*)?$/i

/** A package with the texts of its license files; without any, the identifier that its package.json has is all there is. */
const licenseOf = (directory) => {
  const { license, name, version } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"))
  const texts = readdirSync(directory)
    .filter((file) => LICENSE_FILE.test(file))
    .toSorted()
    .map((file) => readFileSync(join(directory, file), "utf8").trim())
  return { license, name, version, heading: `${name} ${version} (${license})`, text: texts.join("\n\n") }
}

/**
 * A section for every package that `files` come from, in order of their names. Throws where a license is not allowed.
 *
 * @param {string} root the folder that the paths of `files` are relative to
 * @param {ReadonlyArray<string>} files the inputs of the bundle
 * @returns {string}
 */
export const licensesOf = (root, files) => {
  const folders = new Set(files.map(packageFolder).filter((folder) => folder !== undefined))
  const sections = [...folders]
    .map((folder) => join(root, folder))
    .map(licenseOf)
    .toSorted((a, b) => (a.heading < b.heading ? -1 : 1))
  const refused = notAllowed(sections)
  if (refused.length > 0) {
    throw new Error(`packages in the bundle whose license is not allowed (scripts/licenses.mjs): ${refused.join(", ")}`)
  }
  return sections.map(({ heading, text }) => `${heading}\n${"-".repeat(heading.length)}\n\n${text}\n`).join("\n\n")
}

/**
 * The packages that a text of `licensesOf` has sections of.
 *
 * @param {string} text
 * @returns {Array<{ name: string, version: string, license: string }>}
 */
export const bundledPackages = (text) =>
  [...text.matchAll(/^(\S+) (\S+) \((.+)\)\n-+$/gm)].map(([, name, version, license]) => ({ name, version, license }))
