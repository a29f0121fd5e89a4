/** Requests to and responses of the routes of the Admin API, independent of HTTP. */

/** A response; without a body for routes that do not exist, as of the real server. */
export interface AdminResponse {
  readonly status: number
  readonly body?: unknown
}

export interface AdminRequest {
  readonly method: string
  /** Decoded segments of the path. */
  readonly path: ReadonlyArray<string>
  readonly query: URLSearchParams
  /** Parsed JSON; undefined where there is none or it is not JSON. */
  readonly body: unknown
}

/** `{"error_code":"SCREAMING_SNAKE","error_message":"human text"}`. */
export const adminError = (status: number, code: string, message: string): AdminResponse => ({
  status,
  body: { error_code: code, error_message: message }
})
