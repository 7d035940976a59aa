import { record } from './records.ts'

/** One log line, parsed. */
export type LogEntry = Readonly<Record<string, unknown>>

/** A destination for pino that keeps what is written, and leaves it to be looked through at the end of the test run. */
export interface TestLog {
  /** What pino calls with each line. */
  write(line: string): void
  /** Everything written so far, as it was written. */
  text(): string
  entries(): LogEntry[]
  /** The entries whose members equal all of the given ones. */
  find(members: LogEntry): LogEntry[]
}

/** A log to hand to whatever is tested. */
export function createTestLog(): TestLog {
  const lines: string[] = []
  const entries = () => lines.map((line) => JSON.parse(line) as LogEntry)
  return {
    write(line) {
      lines.push(line)
      record('logs', line)
    },
    text: () => lines.join(''),
    entries,
    find: (members) =>
      entries().filter((entry) => Object.entries(members).every(([name, value]) => entry[name] === value)),
  }
}

/** Leaves a text that was shown (an error, what a child process printed) to be looked through as well. Returns it. */
export function recordOutput(text: string): string {
  record('output', `${text}\n`)
  return text
}
