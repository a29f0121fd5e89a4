/** Why a text is no host; undefined where it is one. The text is not repeated, because it may be a URL with a password. */
export const hostProblem = (host: string): { readonly found: string; readonly allowed: string } | undefined => {
  const allowed = "one host name, one address, or the absolute directory of a Unix socket"
  if (host.startsWith("/")) return undefined
  if (host.includes(",")) return { found: "names several hosts", allowed: "exactly one host" }
  if (host.includes("://") || host.includes("@")) return { found: "is a URL instead of a host", allowed }
  if (/^(?:[^:[\]]+|\[[^\]]*\]):\d*$/.test(host)) {
    return {
      found: "has a port after the host",
      allowed: `${allowed}; the port goes to DATABASE_PORT, or into port= of a URL`
    }
  }
  const isIpv6 = /^(?:\[[0-9a-fA-F:.]*:[^\]]*\]|[0-9a-fA-F:.]*:[^[\]]*)$/.test(host)
  return /[\s/?#]/.test(host) || (host.includes(":") && !isIpv6)
    ? { found: "is no host name", allowed }
    : undefined
}
