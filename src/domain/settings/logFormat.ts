/** The values of `LOG_FORMAT`. */
export const logFormats = ["pretty", "logfmt", "json"] as const

export type LogFormat = typeof logFormats[number]
