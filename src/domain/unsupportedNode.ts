/** The oldest Node that the program runs on: `engines` of package.json. */
const OLDEST = { major: 20, minor: 19 }

/** Why the program does not run on a version of Node, such as `18.20.8`; undefined where it does. */
export const unsupportedNode = (version: string): string | undefined => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  if (major > OLDEST.major || (major === OLDEST.major && minor >= OLDEST.minor)) return undefined
  return `ampsync needs Node ${OLDEST.major}.${OLDEST.minor} or newer, and this is Node ${version}: install a newer one, and ` +
    "start ampsync with it"
}
