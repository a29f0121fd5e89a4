import { Result } from "effect"
import {
  type Argument,
  BLOCK_NUM,
  type BlockCondition,
  type Condition,
  COUNT,
  EVM_FUNCTIONS,
  type Expression,
  type Projection,
  type Query,
  type SelectItem,
  SqlProblem,
  type Statement
} from "./query.ts"
import { type Token, tokenize } from "./sqlTokens.ts"

/**
 * Parses the SQL that the simulator supports: a column list or `count(*)`, one table or one sub-query, conditions on the block
 * number (comparisons, BETWEEN, IN, AND, OR), equality of two columns, the functions that decode events, LIMIT and ORDER
 * BY (which no server streams), and the SETTINGS clause at the very end.
 *
 * Operations that a server supports but cannot stream are recognised and named, because the server names them too.
 */

/** Keywords after a name, which are not an alias of it. */
const CLAUSE_WORDS = new Set(
  "select from where and settings limit order group having join inner left right full cross union on as by between distinct or in asc desc"
    .split(" ")
)
const BLOCK_COLUMNS = new Set(["_block_num", "block_num"])

/** Parses one statement. Fails: `SqlProblem`. */
export const parseSql = (sql: string): Result.Result<Statement, SqlProblem> => {
  const tokens = tokenize(sql)
  if (Result.isFailure(tokens)) return Result.fail(new SqlProblem({ kind: "syntax", message: tokens.failure }))
  try {
    return Result.succeed(new Parser(tokens.success).statement())
  } catch (problem) {
    if (problem instanceof SqlProblem) return Result.fail(problem)
    throw problem
  }
}

class Parser {
  private readonly tokens: ReadonlyArray<Token>
  private readonly computed = new Map<string, Expression>()
  private at = 0

  constructor(tokens: ReadonlyArray<Token>) {
    this.tokens = tokens
  }

  statement(): Statement {
    const others = this.tokens.filter(({ text }, i) => text === "select" && this.tokens[i - 1]?.text === ";").length
    if (others > 0) {
      const message = `Expected a single SQL statement, found ${others + 1}`
      throw new SqlProblem({ kind: "statements", message })
    }
    if (!this.isWord("select")) throw this.unexpected("an SQL statement")
    const query = this.query()
    const streaming = this.settings()
    const ended = this.symbol(";")
    if (this.peek().kind !== "end") throw this.unexpected(ended ? "an SQL statement" : "end of statement")
    return { query, streaming }
  }

  private query(): Query {
    this.expectWord("select")
    const distinct = this.word("distinct")
    const distinctOn = distinct && this.word("on") ? this.parenthesized() : undefined
    const projection = this.projection()
    this.expectWord("from")
    const from = this.source()
    const condition = this.word("where") ? this.anyOf() : always
    const groupBy = this.groupBy()
    const { descending, limit, operation } = this.tail()
    const inner = from.kind === "query" ? from.query.nonIncremental : undefined
    const keys = distinctOn ?? groupBy
    // Only the function makes a group one of a single block for the servers, not a column of the same value.
    const perBlock = keys?.includes(BLOCK_NUM) === true
    const counts = projection.kind === "count" || groupBy !== undefined ||
      (projection.kind === "columns" && projection.items.some(({ column }) => column === COUNT))
    if (keys !== undefined && !perBlock && !keys.some((key) => BLOCK_COLUMNS.has(key))) throw unsupported("Aggregate")
    const sortsGroups = distinctOn !== undefined && perBlock && operation === "Sort"
    const nonIncremental = inner ?? (sortsGroups ? undefined : operation) ??
      (projection.kind === "columns" && projection.window
        ? "Window"
        : perBlock
        ? undefined
        : counts
        ? "Aggregate"
        : distinct
        ? "Distinct"
        : undefined)
    const expressions = this.computed
    return { projection, from, condition, expressions, keys, descending, limit, nonIncremental, sortsGroups }
  }

  private projection(): Projection {
    if (this.symbol("*")) return { kind: "all" }
    const items: Array<SelectItem> = []
    let window = false
    do {
      const column = this.expression()
      if (column === undefined) return { kind: "all" }
      if (column === COUNT && this.word("over")) {
        this.expectSymbol("(")
        this.expectSymbol(")")
        window = true
      }
      items.push({ column, name: this.alias() ?? column })
    } while (this.symbol(","))
    const [only] = items
    if (items.length === 1 && only!.column === COUNT && !window) return { kind: "count", name: only!.name }
    return { kind: "columns", items, window }
  }

  /** The name of an expression, with the fields that are taken of it; undefined for all columns of a table. */
  private expression(): string | undefined {
    let name = this.operand()
    while (name !== undefined && this.symbol("[")) {
      const field = this.text("the name of a field")
      this.expectSymbol("]")
      const of = name
      name = `${of}[${field}]`
      this.computed.set(name, { kind: "field", of, field })
    }
    return name
  }

  /** A column, a call, or a count of rows; undefined for all columns of a table. */
  private operand(): string | undefined {
    const first = this.name("an expression")
    if (this.symbol("(")) {
      const called = EVM_FUNCTIONS.find((_) => _ === first)
      if (called !== undefined) {
        const args = this.args()
        const name = `${first}(${args.map((_) => _.kind === "column" ? _.name : `Utf8("${_.text}")`).join(",")})`
        this.computed.set(name, { kind: "call", called, args })
        return name
      }
      if (first === "block_num") this.expectSymbol(")")
      else if (first === "count") {
        if (!this.symbol("*") && this.take().kind !== "number") throw this.unexpected("*")
        this.expectSymbol(")")
      } else throw unsupported(`the function ${first}()`)
      return first === "count" ? COUNT : BLOCK_NUM
    }
    let last: string | undefined = first
    while (last !== undefined && this.symbol(".")) last = this.symbol("*") ? undefined : this.name("a column")
    return last
  }

  private args(): ReadonlyArray<Argument> {
    const args: Array<Argument> = []
    if (this.symbol(")")) return args
    do {
      if (this.peek().kind === "string") args.push({ kind: "literal", text: this.take().text })
      else args.push({ kind: "column", name: this.expression() ?? "*" })
    } while (this.symbol(","))
    this.expectSymbol(")")
    return args
  }

  private groupBy(): ReadonlyArray<string> | undefined {
    if (!this.word("group")) return undefined
    this.expectWord("by")
    return this.expressions()
  }

  private parenthesized(): ReadonlyArray<string> {
    this.expectSymbol("(")
    const expressions = this.expressions()
    this.expectSymbol(")")
    return expressions
  }

  private expressions(): ReadonlyArray<string> {
    const expressions: Array<string> = []
    do expressions.push(this.expression() ?? "*")
    while (this.symbol(","))
    return expressions
  }

  private source(): Query["from"] {
    if (this.symbol("(")) {
      const query = this.query()
      this.expectSymbol(")")
      return { kind: "query", query, alias: this.alias() }
    }
    const parts = [this.name("a table")]
    while (this.symbol(".")) parts.push(this.name("a table"))
    return { kind: "table", parts, alias: this.alias() }
  }

  private anyOf(): Condition {
    const alternatives = [this.allOf()]
    while (this.word("or")) alternatives.push(this.allOf())
    return { kind: "any", conditions: alternatives }
  }

  /** AND binds closer than OR. */
  private allOf(): Condition {
    const conditions: Array<Condition> = []
    do {
      if (this.symbol("(")) {
        conditions.push(this.anyOf())
        this.expectSymbol(")")
      } else conditions.push(this.condition())
    } while (this.word("and"))
    return { kind: "all", conditions }
  }

  private condition(): Condition {
    const column = this.expression() ?? "*"
    if (BLOCK_COLUMNS.has(column)) return { kind: "block", includes: this.blockCondition() }
    const comparable = this.peek(1).kind === "identifier" || this.peek(1).kind === "quoted"
    if (!comparable || !this.symbol("=")) throw unsupported(`a condition on "${column}"`)
    return { kind: "equal", left: column, right: this.expression() ?? "*" }
  }

  private blockCondition(): BlockCondition {
    if (this.word("between")) {
      const low = this.integer()
      this.expectWord("and")
      const high = this.integer()
      return (block) => low <= block && block <= high
    }
    if (this.word("in")) {
      const numbers = this.numbers()
      return (block) => numbers.has(block)
    }
    const divisor = this.symbol("%") ? this.integer() : undefined
    const operator = this.take().text
    const right = this.integer()
    return (block) => {
      const left = divisor === undefined ? block : block % divisor
      if (operator === "=") return left === right
      if (operator === "<") return left < right
      if (operator === "<=") return left <= right
      if (operator === ">") return left > right
      if (operator === ">=") return left >= right
      return left !== right
    }
  }

  private numbers(): ReadonlySet<bigint> {
    const numbers = new Set<bigint>()
    this.expectSymbol("(")
    do numbers.add(this.integer())
    while (this.symbol(","))
    this.expectSymbol(")")
    return numbers
  }

  /** The clauses after WHERE. Only LIMIT and an ORDER BY of the block number are executed. */
  private tail(): Pick<Query, "descending" | "limit"> & { readonly operation: string | undefined } {
    let operation: string | undefined
    let descending = false
    if (this.isWord("join", "inner", "left", "right", "full", "cross")) throw unsupported("Join")
    if (this.isWord("union")) throw unsupported("Union")
    if (this.isWord("having")) throw unsupported("Aggregate")
    if (this.word("order")) {
      this.expectWord("by")
      const column = this.expression() ?? "*"
      if (column !== BLOCK_NUM && !BLOCK_COLUMNS.has(column)) throw unsupported(`ORDER BY "${column}"`)
      descending = this.word("desc")
      if (!descending) this.word("asc")
      operation = "Sort"
    }
    const limit = this.word("limit") ? Number(this.integer()) : undefined
    return { descending, limit, operation: limit === undefined ? operation : "Limit" }
  }

  /** True for `SETTINGS ..., stream = true`; the value must be a boolean literal, in either case. */
  private settings(): boolean {
    if (!this.word("settings")) return false
    let streaming = false
    do {
      const key = this.name("a setting")
      this.expectSymbol("=")
      const value = this.take()
      if (value.kind === "end") throw this.unexpected("a value")
      if (key.toLowerCase() === "stream") streaming = value.kind === "identifier" && value.text === "true"
    } while (this.symbol(","))
    return streaming
  }

  private alias(): string | undefined {
    const isMeant = this.word("as")
    const next = this.peek()
    // After AS the servers accept any word, also a keyword.
    if (isMeant && next.kind !== "identifier" && next.kind !== "quoted") throw this.unexpected("an alias")
    if (isMeant) return this.take().text
    const bare = next.kind === "quoted" || (next.kind === "identifier" && !CLAUSE_WORDS.has(next.text))
    return bare ? this.take().text : undefined
  }

  private name(expected: string): string {
    const token = this.peek()
    const reserved = token.kind === "identifier" && CLAUSE_WORDS.has(token.text)
    if ((token.kind !== "identifier" && token.kind !== "quoted") || reserved) throw this.unexpected(expected)
    return this.take().text
  }

  private text(expected: string): string {
    if (this.peek().kind !== "string") throw this.unexpected(expected)
    return this.take().text
  }

  private integer(): bigint {
    if (this.peek().kind !== "number") throw this.unexpected("a number")
    return BigInt(this.take().text)
  }

  private peek(ahead = 0): Token {
    return this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)]!
  }

  private take(): Token {
    const token = this.peek()
    this.at += 1
    return token
  }

  private isWord(...words: ReadonlyArray<string>): boolean {
    return this.peek().kind === "identifier" && words.includes(this.peek().text)
  }

  private word(text: string): boolean {
    if (!this.isWord(text)) return false
    this.at += 1
    return true
  }

  private expectWord(text: string): void {
    if (!this.word(text)) throw this.unexpected(text.toUpperCase())
  }

  private symbol(text: string): boolean {
    if (this.peek().kind !== "symbol" || this.peek().text !== text) return false
    this.at += 1
    return true
  }

  private expectSymbol(text: string): void {
    if (!this.symbol(text)) throw this.unexpected(text)
  }

  private unexpected(expected: string): SqlProblem {
    return new SqlProblem({
      kind: "syntax",
      message: `Expected: ${expected}, found: ${this.peek().found}`
    })
  }
}

const always: Condition = { kind: "all", conditions: [] }

const unsupported = (message: string): SqlProblem => new SqlProblem({ kind: "unsupported", message })
