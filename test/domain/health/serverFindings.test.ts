import { assert, describe, it } from "@effect/vitest"
import type { Finding } from "../../../src/domain/health/Finding.ts"
import type { ServerFacts } from "../../../src/domain/health/ServerFacts.ts"
import {
  clockFinding,
  commitFinding,
  connectionsFinding,
  diskFinding,
  encodingFinding,
  headFinding,
  timeoutsFinding,
  tlsFinding,
  versionFinding,
  writableFinding
} from "../../../src/domain/health/serverFindings.ts"
import type { DatabaseTarget, SslMode } from "../../../src/domain/settings/DatabaseTarget.ts"

const facts = (fields: Partial<ServerFacts> = {}): ServerFacts => ({
  version: "18.4",
  versionNumber: 180_004,
  encoding: "UTF8",
  database: "chain",
  role: "sync",
  isSuperuser: false,
  isStandby: false,
  isReadOnly: false,
  tlsVersion: undefined,
  sessions: 20,
  maxConnections: 100,
  reservedConnections: 3,
  roleConnections: undefined,
  databaseConnections: undefined,
  timeouts: new Map([["statement_timeout", 0], ["idle_in_transaction_session_timeout", 0]]),
  synchronousCommit: "on",
  fsync: true,
  walLevel: "replica",
  databaseBytes: 8_000_000,
  clockAheadMillis: 3,
  roundTripMillis: 2,
  ...fields
})

const target = (host: string, mode: SslMode): DatabaseTarget => ({
  host,
  port: 5432,
  user: "sync",
  password: undefined,
  database: "chain",
  ssl: { mode }
})

const assertFinding = ({ advice, detail, outcome }: Finding, expected: Finding["outcome"], words: RegExp) => {
  assert.strictEqual(outcome, expected, detail)
  assert.match(`${detail} -> ${advice}`, words)
}

describe("a database server", () => {
  it("of a version that was not tested is a warning, and an older one a problem", () => {
    assertFinding(versionFinding(facts()), "ok", /18\.4/)
    assertFinding(versionFinding(facts({ version: "13.0", versionNumber: 130_000 })), "ok", /13\.0/)
    assertFinding(
      versionFinding(facts({ version: "12.22", versionNumber: 120_022 })),
      "problem",
      /older than 13.*update/
    )
    assertFinding(versionFinding(facts({ version: "19.0", versionNumber: 190_000 })), "warning", /newer than 18/)
  })

  it("must store every text", () => {
    assertFinding(encodingFinding(facts()), "ok", /UTF8/)
    assertFinding(encodingFinding(facts({ encoding: "SQL_ASCII" })), "problem", /SQL_ASCII.*CREATE DATABASE/)
  })

  it("must accept writes", () => {
    assertFinding(writableFinding(facts()), "ok", /primary/)
    assertFinding(writableFinding(facts({ isStandby: true, isReadOnly: true })), "problem", /standby.*primary/)
    assertFinding(
      writableFinding(facts({ isReadOnly: true })),
      "problem",
      /default_transaction_read_only to off for role "sync"/
    )
  })

  it("is reached as safely as the settings ask for, and a warning names what is not verified", () => {
    assertFinding(
      tlsFinding(facts({ tlsVersion: "TLSv1.3" }), target("db.example", "verify-full"), true),
      "ok",
      /TLSv1\.3/
    )
    assertFinding(
      tlsFinding(facts({ tlsVersion: "TLSv1.3" }), target("db.example", "require"), true),
      "warning",
      /does not check that the server is db\.example/
    )
    assertFinding(tlsFinding(facts(), target("db.example", "prefer"), true), "warning", /not encrypted.*verify-full/)
    assertFinding(tlsFinding(facts(), target("db.example", "disable"), true), "warning", /not encrypted/)
    assertFinding(tlsFinding(facts(), target("127.0.0.1", "prefer"), true), "ok", /to this machine/)
    assertFinding(tlsFinding(facts(), target("/run/postgresql", "prefer"), true), "ok", /Unix socket/)
    assertFinding(tlsFinding(facts(), target("pooler.example", "prefer"), false), "skipped", /pooler/)
  })

  it("must have room for the connections of a sync, by the least of its limits", () => {
    assertFinding(connectionsFinding(facts(), 10), "ok", /need 11, and 77 of 100/)
    assertFinding(connectionsFinding(facts({ sessions: 90 }), 10), "warning", /7 connections are free/)
    assertFinding(
      connectionsFinding(facts({ roleConnections: 5 }), 10),
      "problem",
      /limit of role "sync" leaves 5.*lower MAX_DB_CONNECTIONS to 4/
    )
    assertFinding(
      connectionsFinding(facts({ databaseConnections: 10 }), 10),
      "problem",
      /limit of the database leaves 10/
    )
    assertFinding(
      connectionsFinding(facts({ maxConnections: 12 }), 10),
      "problem",
      /max_connections of the server leaves 9/
    )
    assert.strictEqual(connectionsFinding(facts({ roleConnections: 11 }), 10).outcome, "ok")
  })

  it("may limit statements and locks, which each transaction sets itself, but not sessions to seconds", () => {
    assertFinding(timeoutsFinding(facts()), "ok", /none is set/)
    const limited = (name: string, millis: number) => timeoutsFinding(facts({ timeouts: new Map([[name, millis]]) }))
    assertFinding(limited("statement_timeout", 1_000), "ok", /statement_timeout 1 s/)
    assertFinding(
      limited("idle_in_transaction_session_timeout", 5_000),
      "warning",
      /ALTER ROLE "sync" SET idle_in_transaction_session_timeout TO 0/
    )
    assertFinding(limited("transaction_timeout", 5_000), "warning", /transaction_timeout is 5 s/)
    assert.strictEqual(limited("idle_session_timeout", 600_000).outcome, "ok")
  })

  it("that may forget commits is a warning", () => {
    assertFinding(commitFinding(facts()), "ok", /is on/)
    assertFinding(commitFinding(facts({ synchronousCommit: "off" })), "warning", /takes back the last commits/)
    assertFinding(commitFinding(facts({ fsync: false })), "warning", /fsync is off/)
  })

  it("whose clock differs by more than five seconds is a warning, as far as the answer's time allows to know", () => {
    assertFinding(clockFinding(facts()), "ok", /3 ms/)
    assertFinding(clockFinding(facts({ clockAheadMillis: 8_000 })), "warning", /8 s ahead of this machine's/)
    assertFinding(clockFinding(facts({ clockAheadMillis: -8_000 })), "warning", /8 s behind this machine's/)
    assert.strictEqual(clockFinding(facts({ clockAheadMillis: 8_000, roundTripMillis: 7_000 })).outcome, "ok")
  })

  it("does not report its free disk space, which the check has as its reason", () => {
    assertFinding(diskFinding(facts()), "skipped", /does not report free disk space; the database has 8\.0 MB now/)
  })
})

describe("the newest block of the source", () => {
  it("is a warning where it is in the future", () => {
    assertFinding(headFinding("block 9", 4_000), "ok", /block 9, 4 s ago/)
    assertFinding(headFinding("block 9", -3_000), "ok", /0 s ago/)
    assertFinding(headFinding("block 9", -6_000), "warning", /6 s in the future/)
    assertFinding(headFinding("block 9", undefined), "ok", /does not report its time/)
  })
})
