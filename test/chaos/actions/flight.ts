/** Faults of the server and of the connections to it. */
import { status } from "@grpc/grpc-js"
import { act, type Acts, lasting } from "./act.ts"

export const flightActs = {
  "flight-cut": act(({ simulator }) => simulator.faults.cutAll()),
  "flight-cut-in-range": act(({ simulator }, { amount }) => {
    simulator.faults.cutAfter(amount)
    simulator.mine(1)
  }),
  "flight-slow": lasting(
    ({ simulator }, { amount }) => void (simulator.faults.delayMillis = amount * 15),
    ({ simulator }) => void (simulator.faults.delayMillis = 0)
  ),
  "flight-frozen": lasting(({ simulator }) => simulator.faults.freeze(), ({ simulator }) => simulator.faults.resume()),
  "flight-half-open": lasting(
    ({ flightProxy }) => flightProxy.freeze(),
    ({ flightProxy, simulator }) => {
      flightProxy.restore()
      flightProxy.redirect(Number(new URL(simulator.flightUrl).port))
    }
  ),
  "flight-hang": lasting(
    ({ simulator }) => void simulator.faults.hangStreams(),
    ({ simulator }) => simulator.faults.resume()
  ),
  "flight-reset-streams": act(({ simulator }) => simulator.faults.resetStreams()),
  "flight-end-streams": act(({ simulator }) => simulator.faults.endStreams()),
  "flight-error": act(({ simulator }, { amount }) => {
    simulator.faults.failAfter(amount, status.INTERNAL, "injected failure")
    simulator.faults.failNext("any", status.UNAVAILABLE, "injected failure", amount)
  }),
  "flight-goaway": lasting(
    ({ simulator }) => simulator.faults.enforcePings(60_000, 0),
    ({ simulator }) => simulator.faults.enforcePings(0, Infinity)
  ),
  "flight-wrong-parent": act(({ simulator }, { amount }) => {
    simulator.faults.swapPrevHash(amount)
    simulator.mine(1)
  }),
  "admin-down": act(({ simulator }, { amount }) => simulator.faults.failAdmin(503, amount))
} as const satisfies Acts<string>
