/** deploy/kubernetes, and the overlays of docs/deployment.md. */
import { assert, describe, it } from "@effect/vitest"
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pageOf } from "../docs/pages.ts"
import { kubectlUnavailable, type KubernetesObject, renderKustomization } from "../support/kubectl.ts"

const root = join(import.meta.dirname, "..", "..")
const base = join(root, "deploy/kubernetes")
const read = (file: string): string => readFileSync(join(base, file), "utf8")

/** The groups of the kinds that every cluster has. */
const BUILT_IN = ["v1", "apps/v1", "policy/v1"]

const SELECTED = { "app.kubernetes.io/name": "ampsync", "app.kubernetes.io/component": "sync" }

/** The one example of the page that matches. */
const example = (pattern: RegExp): string => {
  const found = pageOf("docs/deployment.md").examples.filter(({ text }) => pattern.test(text))
  if (found.length !== 1) throw new Error(`${found.length} examples of docs/deployment.md match ${pattern}`)
  return `${found[0]!.text}\n`
}

const overlay = example(/^# kustomization\.yaml\n/)
const withoutGenerators = overlay.slice(0, overlay.indexOf("configMapGenerator:"))
const codeConfig = example(/^configMapGenerator:/)
const podMonitor = example(/^components: .*$(?!\n)/)
const labeledPodMonitor = example(/^components: .*\npatches:/)
const secondDataset = example(/^nameSuffix:/)

/** What an overlay comes to that stands beside a checkout, as on the page. */
const render = (kustomization: string): ReadonlyArray<KubernetesObject> => {
  const directory = mkdtempSync(join(tmpdir(), "ampsync-test-"))
  try {
    cpSync(base, join(directory, "ampsync/deploy/kubernetes"), { recursive: true })
    mkdirSync(join(directory, "overlay"))
    cpSync(join(base, "amp.config.json"), join(directory, "overlay/amp.config.json"))
    cpSync(join(root, "deploy/config/amp.config.ts"), join(directory, "overlay/amp.config.ts"))
    writeFileSync(join(directory, "overlay/kustomization.yaml"), kustomization)
    return renderKustomization(join(directory, "overlay"))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const ofKind = (objects: ReadonlyArray<KubernetesObject>, kind: string): KubernetesObject => {
  const found = objects.filter((object) => object.kind === kind)
  assert.lengthOf(found, 1, kind)
  return found[0]!
}

/** The variables of the container: those of `env` win over those of `envFrom`. */
const environmentOf = (objects: ReadonlyArray<KubernetesObject>): Readonly<Record<string, string>> => {
  const [container] = ofKind(objects, "Deployment").spec.template.spec.containers
  const environment: Record<string, string> = {}
  for (const { configMapRef } of container.envFrom) {
    Object.assign(environment, objects.find(({ metadata }) => metadata.name === configMapRef.name)!.data)
  }
  for (const { name, value } of container.env) environment[name] = value
  return environment
}

/** What selects the pods. */
const selectorsOf = (objects: ReadonlyArray<KubernetesObject>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    objects.flatMap(({ kind, spec }) => (spec?.selector === undefined ? [] : [[kind, spec.selector.matchLabels]]))
  )

describe("the base for Kubernetes", () => {
  it("has no kind that only an operator brings", () => {
    const [, list] = /^resources:\n((?: {2}- .*\n)+)/m.exec(read("kustomization.yaml"))!
    const files = list!.trimEnd().split("\n").map((line) => line.replace("  - ", ""))
    const groups = files.flatMap((file) => [...read(file).matchAll(/^apiVersion: (.*)$/gm)].map(([, group]) => group!))
    assert.deepStrictEqual(groups.filter((group) => !BUILT_IN.includes(group)), [])
    assert.isAbove(groups.length, 1)
  })

  it("has a PodMonitor beside it that selects the pods of ampsync alone", () => {
    const [, labels] = /^ {4}matchLabels:\n((?: {6}.*\n)+)/m.exec(read("podmonitor/podmonitor.yaml"))!
    const pairs = [...labels!.matchAll(/^ {6}(\S+): (.*)$/gm)].map(([, name, value]) => [name, value])
    assert.deepStrictEqual(Object.fromEntries(pairs), SELECTED)
  })

  it("fixes no variable but those that the page lists as fixed", () => {
    const fixed = [...read("deployment.yaml").matchAll(/^ {12}- name: ([A-Z_]+)$/gm)].map(([, name]) => name!)
    const [, listed] = /((?:`[A-Z_]+`[, and]+)+`[A-Z_]+`) are fixed/.exec(pageOf("docs/deployment.md").text)!
    assert.deepStrictEqual(fixed.toSorted(), [...listed!.matchAll(/[A-Z_]{2,}/g)].map(([name]) => name).toSorted())
    const settings = [...read("kustomization.yaml").matchAll(/^ {6}- ([A-Z_]+)=/gm)].map(([, name]) => name!)
    assert.deepStrictEqual(settings.filter((name) => fixed.includes(name)), [])
    assert.include(settings, "DATASET_MANIFEST")
  })
})

describe.skipIf(kubectlUnavailable !== undefined)(
  `an overlay of docs/deployment.md${kubectlUnavailable === undefined ? "" : ` (skipped: ${kubectlUnavailable})`}`,
  () => {
    it("has only kinds that every cluster has, the image and its own settings", () => {
      const objects = render(overlay)
      assert.deepStrictEqual(objects.filter(({ apiVersion }) => !BUILT_IN.includes(apiVersion)), [])
      assert.deepStrictEqual(selectorsOf(objects), {
        Deployment: { "app.kubernetes.io/name": "ampsync" },
        PodDisruptionBudget: SELECTED
      })
      const { spec } = ofKind(objects, "Deployment").spec.template
      assert.match(spec.containers[0].image, /^registry\.example\.com\/ampsync:/)
      const environment = environmentOf(objects)
      assert.strictEqual(environment["AMP_FLIGHT_ADDR"], "http://amp.chain.svc:1602")
      assert.strictEqual(environment["DATASET_MANIFEST"], "/home/ampsync/config/amp.config.json")
    })

    it("has its config file in code where it is named in the settings", () => {
      const objects = render(withoutGenerators + codeConfig)
      const environment = environmentOf(objects)
      assert.strictEqual(environment["DATASET_MANIFEST"], "/home/ampsync/config/amp.config.ts")
      assert.strictEqual(environment["AMP_FLIGHT_ADDR"], "http://amp.chain.svc:1602")
      // Without a hash in its name: the running pods take a change.
      const config = objects.find(({ metadata }) => metadata.name === "ampsync-config")
      assert.deepStrictEqual(Object.keys(config!.data!), ["amp.config.ts"])
      const [container] = ofKind(objects, "Deployment").spec.template.spec.containers
      assert.include(container.volumeMounts.map((mount: any) => mount.mountPath), "/home/ampsync/config")
    })

    it("adds a PodMonitor of the pods of ampsync with one line", () => {
      assert.lengthOf(podMonitor.trimEnd().split("\n"), 1)
      const objects = render(overlay + podMonitor)
      assert.deepStrictEqual(selectorsOf(objects)["PodMonitor"], SELECTED)
      assert.strictEqual(ofKind(objects, "PodMonitor").metadata.namespace, "chain")
      const { metadata, spec } = ofKind(objects, "Deployment").spec.template
      for (const [name, value] of Object.entries(SELECTED)) assert.strictEqual(metadata.labels[name], value)
      const [endpoint] = ofKind(objects, "PodMonitor").spec.podMetricsEndpoints
      assert.include(spec.containers[0].ports.map((port: any) => port.name), endpoint.port)
      assert.deepStrictEqual(
        objects.filter(({ kind }) => kind !== "PodMonitor"),
        render(overlay)
      )
    })

    it("gives the PodMonitor the label by which a Prometheus selects it", () => {
      const { metadata } = ofKind(render(overlay + labeledPodMonitor), "PodMonitor")
      assert.deepStrictEqual(metadata.labels, { "app.kubernetes.io/name": "ampsync", release: "monitoring" })
    })

    it("keeps the pods of a second dataset out of every selector", () => {
      const objects = render(overlay + podMonitor + secondDataset)
      const instances = Object.entries(selectorsOf(objects)).map(([kind, labels]) => [
        kind,
        (labels as Record<string, string>)["app.kubernetes.io/instance"]
      ])
      assert.deepStrictEqual(Object.fromEntries(instances), {
        Deployment: "eth",
        PodDisruptionBudget: "eth",
        PodMonitor: "eth"
      })
      assert.strictEqual(environmentOf(objects)["AMP_FLIGHT_ADDR"], "http://amp.chain.svc:1602")
    })
  }
)
