import { Schema } from "effect"

/** The simulator could not listen on its port. */
export class SimulatorError extends Schema.TaggedError<SimulatorError>()("SimulatorError", {
  server: Schema.Literals(["Flight", "Admin API"]),
  host: Schema.String,
  port: Schema.Int,
  cause: Schema.Defect()
}) {
  override get message() {
    const flag = this.server === "Flight" ? "--flight-port" : "--admin-port"
    const isTaken = /EADDRINUSE/.test(String(this.cause))
    const advice = isTaken ? `; end what listens there, or choose another port with ${flag}` : ""
    return `the simulator's ${this.server} server cannot listen on ${this.host}:${this.port}: ${
      String(this.cause)
    }${advice}`
  }
}

/** The blocks of a node are made into the columns of amp only. */
export class NodeNeedsAmp extends Schema.TaggedError<NodeNeedsAmp>()("NodeNeedsAmp", {}) {
  readonly exitCode = 2
  override get message() {
    return "the chain of a node (--evm-rpc, in code evmRpc) is served in the dialect amp: leave out the dialect nozzle"
  }
}
