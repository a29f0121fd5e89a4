/**
 * The licenses of the packages whose code is in the bundle, as one text: their authors ask that it travels with the code.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** The folder of the package that a file belongs to, from the last `node_modules` in its path on; undefined for our own files. */
const packageFolder = (file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0]

const LICENSE_FILE = /^(licen[cs]e|copying|notice)([.-].*)?$/i

/** Texts of the license files of a package; of one without any, the identifier that its package.json has. */
const licenseOf = (directory) => {
  const { license, name, version } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"))
  const texts = readdirSync(directory)
    .filter((file) => LICENSE_FILE.test(file))
    .toSorted()
    .map((file) => readFileSync(join(directory, file), "utf8").trim())
  if (license === undefined && texts.length === 0) throw new Error(`${name}@${version} in the bundle has no license`)
  return { heading: `${name} ${version} (${license ?? "see below"})`, text: texts.join("\n\n") }
}

/**
 * A section for every package that `files` come from, in order of their names.
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
  return sections.map(({ heading, text }) => `${heading}\n${"-".repeat(heading.length)}\n\n${text}\n`).join("\n\n")
}
