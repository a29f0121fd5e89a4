/** The container engine of this machine: Docker, or podman with buildah. */
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { attempt, type Ended, run } from "./run.ts"

export interface Engine {
  readonly name: "docker" | "podman"
  /** Builds the Dockerfile of `context` as `tag`; arguments of the build by name. */
  readonly build: (context: string, tag: string, args: Readonly<Record<string, string>>) => Promise<void>
  readonly hasImage: (tag: string) => Promise<boolean>
  /** Runs a command of the engine; throws where it fails. */
  readonly run: (...args: ReadonlyArray<string>) => Promise<string>
  readonly attempt: (...args: ReadonlyArray<string>) => Promise<Ended>
  /** What `run` of the engine needs besides, so that nothing is pulled and nobody but this script asks for the health. */
  readonly runOptions: ReadonlyArray<string>
}

const buildArgs = (args: Readonly<Record<string, string>>) =>
  Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`])

const docker: Engine = {
  name: "docker",
  build: async (context, tag, args) => void await run(["docker", "build", ...buildArgs(args), "-t", tag, context]),
  hasImage: async (tag) => (await attempt(["docker", "image", "inspect", tag])).code === 0,
  run: (...args) => run(["docker", ...args]),
  attempt: (...args) => attempt(["docker", ...args]),
  runOptions: ["--pull", "never", "--no-healthcheck"]
}

/** What podman is given so that it runs as root without systemd, and below the limits of the shell around it. */
const podmanConf = (): string =>
  [
    "[containers]",
    `default_ulimits=["nofile=4096:4096","nproc=4096:4096"]`,
    "[engine]",
    ...(existsSync("/usr/sbin/runc") ? [`runtime="runc"`] : []),
    `cgroup_manager="cgroupfs"`,
    `events_logger="file"`,
    ""
  ].join("\n")

export const podmanEnvironment = (directory: string): Readonly<Record<string, string>> => {
  const file = join(directory, "containers.conf")
  writeFileSync(file, podmanConf())
  return { CONTAINERS_CONF: file, STORAGE_DRIVER: "overlay" }
}

const podman = (environment: Readonly<Record<string, string>>): Engine => ({
  name: "podman",
  build: async (context, tag, args) => {
    // The format of Docker: an OCI image has no health check.
    const options = ["--isolation", "chroot", "--format", "docker", "--pull=missing", ...buildArgs(args)]
    await run(["buildah", "bud", ...options, "-t", tag, context], environment)
  },
  hasImage: async (tag) => (await attempt(["podman", "image", "exists", tag], environment)).code === 0,
  run: (...args) => run(["podman", ...args], environment),
  attempt: (...args) => attempt(["podman", ...args], environment),
  // As with Docker, nothing at all can be written.
  runOptions: ["--pull", "never", "--no-healthcheck", "--read-only-tmpfs=false"]
})

/** The engine that runs here, or the reason why none does. */
export const findEngine = async (directory: string): Promise<Engine | string> => {
  const daemon = await attempt(["docker", "info", "--format", "{{.ServerVersion}}"])
  if (daemon.code === 0) return docker
  const installed = await Promise.all((["podman", "buildah"] as const).map((name) => attempt([name, "--version"])))
  if (installed.every(({ code }) => code === 0)) return podman(podmanEnvironment(directory))
  const reason = daemon.code === null ? "docker is not installed" : "no Docker daemon answers"
  return `${reason}, and podman and buildah are not installed`
}
