/** Log lines of a stop. They are a module of their own because a signal may come before anything else is loaded. */

export const signalReceived = (signal: string) => `Received ${signal}, shutting down gracefully...`
export const shutdownComplete = "Shutdown complete"
