/** Which HTTP proxy of the environment a Flight connection goes through: grpc-js reads the variables, and connects. */
import { BlockList, isIP } from "node:net"

type Environment = Readonly<Record<string, string | undefined>>

const loopback = new BlockList()
loopback.addSubnet("127.0.0.0", 8, "ipv4")
loopback.addAddress("::1", "ipv6")

/** In the order in which grpc-js reads them. */
const VARIABLES = ["grpc_proxy", "https_proxy", "http_proxy"] as const

/**
 * Whether grpc-js may use a proxy; it applies `no_grpc_proxy` and `no_proxy` itself, except for `*`.
 *
 * Never for the loopback. For a plaintext address only where `grpc_proxy` is set: the other variables name the proxy out of
 * the local network, which does not connect to the ports of servers in it.
 */
export const mayUseProxy = (address: URL, environment: Environment): boolean => {
  const excluded = environment["no_grpc_proxy"] || environment["no_proxy"] || ""
  if (isLoopback(address.hostname) || excluded.trim() === "*") return false
  return address.protocol === "https:" || isSet(environment, "grpc_proxy")
}

/** The variable that names the proxy, where one is used. */
export const proxyVariable = (environment: Environment): string =>
  VARIABLES.find((name) => isSet(environment, name)) ?? VARIABLES[0]

const isSet = (environment: Environment, name: string): boolean => (environment[name] ?? "") !== ""

const isLoopback = (hostname: string): boolean => {
  const host = hostname.replace(/^\[(.*)\]$/, "$1")
  const family = isIP(host)
  if (family === 0) return host === "localhost" || host.endsWith(".localhost")
  return loopback.check(host, family === 4 ? "ipv4" : "ipv6")
}
