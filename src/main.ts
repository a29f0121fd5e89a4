#!/usr/bin/env node
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Cause, Effect, Exit } from "effect"
import { cli } from "./programs/cli.ts"

NodeRuntime.runMain(Effect.provide(cli, NodeServices.layer), {
  disableErrorReporting: true,
  teardown: (exit, done) => done(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : exitCode(exit.cause))
})
