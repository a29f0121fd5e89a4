/** The end of a message on rows that only a resync replaces. */
export const toFillAgain = (table: string): string =>
  "to fill the table again, stop this process and run: node dist/main.js resync --table " +
  (/^[\w-]+$/.test(table) ? table : JSON.stringify(table))
