/** What is written when the process is asked to stop; of its own, for it may be needed before anything else is loaded. */

export const signalReceived = (signal: string) => `Received ${signal}, shutting down gracefully...`
export const shutdownComplete = "Shutdown complete"
