import { assert, describe, it } from "@effect/vitest"
import { Redacted, Result, Schema } from "effect"
import { databaseTargetFromParameters, databaseTargetFromUrl } from "../../../src/domain/settings/DatabaseTarget.ts"

const target = (url: string) => Result.getOrThrowWith(databaseTargetFromUrl(url), (problem) => new Error(problem.found))

const problem = (url: string) => {
  const result = databaseTargetFromUrl(url)
  return Result.isFailure(result) ? result.failure : assert.fail(`accepted: ${url}`)
}

const passwordOf = (url: string) => {
  const { password } = target(url)
  return password === undefined ? undefined : Redacted.value(password)
}

const ssl = (query: string) => target(`postgresql://me@h/db?${query}`).ssl

describe("DATABASE_URL", () => {
  it("gives every part, and libpq's defaults for the missing ones", () => {
    const { password, ...rest } = target("postgres://me:secret@db.example:6543/chain")
    assert.deepStrictEqual(rest, {
      host: "db.example",
      port: 6543,
      user: "me",
      database: "chain",
      ssl: { mode: "prefer" }
    })
    assert.strictEqual(Redacted.value(password ?? assert.fail()), "secret")
    const short = target("postgresql://me@")
    assert.deepStrictEqual(
      [short.host, short.port, short.database, short.password],
      ["localhost", 5432, "me", undefined]
    )
  })

  it("decodes every character of a password exactly", () => {
    assert.strictEqual(passwordOf("postgresql://me:%40%3A%2F%3F%23%25+%20%C3%A9@h/db"), "@:/?#%+ é")
    assert.strictEqual(passwordOf("postgresql://me:a:b@h/db"), "a:b")
    assert.strictEqual(passwordOf("postgresql://me:a@b#c@h/db"), "a@b#c")
    assert.strictEqual(passwordOf("postgresql://h/db?user=me&password=a%26b"), "a&b")
  })

  it.prop("reads back any user, password and database", {
    user: Schema.NonEmptyString,
    password: Schema.NonEmptyString,
    database: Schema.NonEmptyString
  }, ({ database, password, user }) => {
    // A URL holds neither NUL characters nor halves of surrogate pairs.
    if (/[\0\p{Surrogate}]/u.test([user, password, database].join(" "))) return
    const url = `postgresql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@h/${
      encodeURIComponent(database)
    }`
    assert.strictEqual(target(url).user, user)
    assert.strictEqual(passwordOf(url), password)
    assert.strictEqual(target(url).database, database)
  })

  it("I7 rejects a URL in which the end of the password is ambiguous, and takes no part of it for a host", () => {
    for (
      const url of [
        "postgresql://u:Secret@Bank/2024@h/db",
        "postgresql://u:Secret@Bank?2024@h/db",
        "postgresql://u:Secret/Bank@h/db",
        "postgresql://u:2024/Secret@h/db",
        "postgresql://u:2024?Secret=Bank@h/db",
        "postgresql://u:Secret@h:2024?Bank=x@h/db",
        "postgresql://u:pa?Secret@h/db"
      ]
    ) {
      const { allowed, found } = problem(url)
      assert.strictEqual(
        found,
        "has an unencoded @ after a / or ?, so that it is not clear where the password ends"
      )
      assert.include(allowed, "/ is %2F, ? is %3F, @ is %40")
      assert.notMatch(found + allowed, /Secret|Bank|2024/)
    }
    assert.strictEqual(target("postgresql://u:Secret@Bank@h/db").host, "h")
    assert.strictEqual(passwordOf("postgresql://u:Secret%40Bank%2F2024@h/db"), "Secret@Bank/2024")
    assert.strictEqual(target("postgresql://h/db?user=me@corp").user, "me@corp")
  })

  it("takes every form that libpq takes, character by character", () => {
    const place = (url: string) => {
      const { database, host, port, user } = target(url)
      return [user, host, port, database]
    }
    assert.deepStrictEqual(place("postgresql://me@/db?host=/run/postgresql"), ["me", "/run/postgresql", 5432, "db"])
    assert.deepStrictEqual(place("postgresql://me@:6000/db"), ["me", "localhost", 6000, "db"])
    assert.deepStrictEqual(place("postgresql://me@h/a/../b"), ["me", "h", 5432, "a/../b"])
    assert.strictEqual(passwordOf("postgresql://me:a\tb |^\\@h/db"), "a\tb |^\\")
    assert.strictEqual(passwordOf("postgresql://h/db?user=me&password=a+b"), "a+b")
  })

  it("rejects a host that has more than a host", () => {
    assert.match(problem("postgresql:///db?user=me&host=h:5432").found, /a port after the host/)
    assert.match(problem("postgresql://me@h%20x/db").found, /no host name/)
  })

  it("takes what it leaves out from the defaults, and nothing else", () => {
    const defaults = [["host", "other"], ["port", "6000"], ["user", "u"], ["dbname", "d"], [
      "sslmode",
      "require"
    ]] as const
    const named = (url: string) => {
      const { database, host, port, ssl, user } = Result.getOrThrow(databaseTargetFromUrl(url, defaults))
      return [host, port, user, database, ssl.mode]
    }
    assert.deepStrictEqual(named("postgresql://"), ["other", 6000, "u", "d", "require"])
    assert.deepStrictEqual(named("postgresql://me@h:1/db?sslmode=disable"), ["h", 1, "me", "db", "disable"])
  })

  it("accepts the channel binding and the session that a writer can have, and rejects others with a reason", () => {
    assert.deepStrictEqual(target("postgresql://me@h/db?sslmode=require&channel_binding=require").options, {
      channelBinding: "require"
    })
    assert.match(
      problem("postgresql://me@h/db?sslmode=disable&channel_binding=require").found,
      /channel_binding=require/
    )
    for (const standby of ["standby", "read-only", "prefer-standby"]) {
      const { allowed, found } = problem(`postgresql://me@h/db?target_session_attrs=${standby}`)
      assert.strictEqual(found, "requires a server that cannot be written to")
      assert.include(allowed, "any, read-write, primary")
    }
  })

  it("finds Unix sockets and IPv6 addresses", () => {
    assert.strictEqual(target("postgresql://me@%2Fvar%2Frun%2Fpostgresql/db").host, "/var/run/postgresql")
    assert.strictEqual(target("postgresql:///db?host=/tmp&user=me").host, "/tmp")
    const { host, port } = target("postgresql://me@[2001:db8::1]:6000/db")
    assert.deepStrictEqual([host, port], ["2001:db8::1", 6000])
    assert.strictEqual(target("postgresql://me@[::1]/db").port, 5432)
  })

  it("gives sslmode the meaning libpq gives it", () => {
    for (const mode of ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const) {
      assert.deepStrictEqual(ssl(`sslmode=${mode}`), { mode })
    }
    assert.deepStrictEqual(ssl("ssl=true"), { mode: "require" })
    assert.deepStrictEqual(ssl("sslmode=require&sslrootcert=/ca.pem"), { mode: "verify-ca", rootCertPath: "/ca.pem" })
    assert.deepStrictEqual(ssl("sslrootcert=system"), { mode: "verify-full", rootCertPath: "system" })
    assert.deepStrictEqual(ssl("sslcert=/c&sslkey=/k"), { mode: "prefer", certPath: "/c", keyPath: "/k" })
    assert.match(problem("postgresql://me@h/db?sslmode=require&sslrootcert=system").allowed, /verify-full/)
    assert.match(problem("postgresql://me@h/db?sslcert=/c").found, /only one/)
    assert.match(problem("postgresql://me@h/db?sslmode=on").allowed, /verify-full/)
  })

  it("keeps the other known parameters", () => {
    const query =
      "connect_timeout=7&application_name=a%20b&options=-c%20x%3D1&keepalives=0&target_session_attrs=read-write"
    assert.deepStrictEqual(target(`postgresql://me@h/db?${query}`).options, {
      connectTimeoutSeconds: 7,
      applicationName: "a b",
      options: "-c x=1",
      keepalives: false,
      targetSessionAttrs: "read-write"
    })
  })

  it("I7 names an unknown parameter, but never its value", () => {
    const { allowed, found } = problem("postgresql://me:hunter2@h/db?sslpasword=hunter2")
    assert.include(found, "\"sslpasword\"")
    assert.notInclude(found + allowed, "hunter2")
  })

  it("I7 names the problem without a word of the text", () => {
    for (
      const url of [
        "mysql://me:hunter2@h/db",
        "hunter2",
        "postgresql://me:hunter2/x@h/db",
        "postgresql://me:hunter2%zz@h/db",
        "postgresql://h/db?password=hunter2",
        "postgresql://me:hunter2@a,b/db",
        "postgresql://me:hunter2@[::1/db",
        "postgresql://me:hunter2@h:99999/db",
        "postgresql://me:hunter2@h/db?connect_timeout=hunter2",
        "postgresql://me:hunter2@h/db?target_session_attrs=standby",
        "postgresql://me:hunter2@h/db?application_name"
      ]
    ) assert.notInclude(JSON.stringify(problem(url)), "hunter2")
  })
})

describe("a database target", () => {
  it("uses parts literally, whatever they contain", () => {
    const parts = Result.getOrThrow(databaseTargetFromParameters([
      ["host", "db.example"],
      ["user", "a@b/c"],
      ["dbname", "d?e"],
      ["password", "%40:/@"],
      ["host", "[::1]"]
    ]))
    assert.strictEqual(Redacted.value(parts.password ?? assert.fail()), "%40:/@")
    assert.deepStrictEqual([parts.user, parts.database, parts.host, parts.port], ["a@b/c", "d?e", "::1", 5432])
  })

  it("I7 is serialised without its password", () => {
    const parts = Result.getOrThrow(
      databaseTargetFromParameters([["host", "::1"], ["user", "a@b"], ["password", "hunter2"], ["dbname", "d"]])
    )
    assert.notInclude(JSON.stringify(parts), "hunter2")
  })
})
