/** `kubectl`, whose renderer of kustomizations needs no cluster, where it is installed: it is not on npm. */
import { execFileSync, spawnSync } from "node:child_process"

/** Why there is none; undefined where there is one. */
export const kubectlUnavailable: string | undefined = spawnSync("kubectl", ["version", "--client"]).status === 0
  ? undefined
  : "kubectl is not installed"

/** What the tests read of an object of Kubernetes. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
  }
  readonly data?: Readonly<Record<string, string>>
  readonly spec?: any
}

const kubectl = (args: ReadonlyArray<string>, input = ""): string =>
  execFileSync("kubectl", args, { input, encoding: "utf8", timeout: 60_000 })

/** The objects of a kustomization, in the order in which `kubectl apply --kustomize` sends them. Throws what kubectl reports. */
export const renderKustomization = (directory: string): ReadonlyArray<KubernetesObject> => {
  const yaml = kubectl(["kustomize", directory])
  // Of the commands that print JSON and ask no server, this one takes kinds that kubectl does not know.
  const lines = kubectl(["annotate", "--local", "--filename=-", "none-", "--output=jsonpath={@}{\"\\n\"}"], yaml)
  return lines.trim().split("\n").map((line) => JSON.parse(line))
}
