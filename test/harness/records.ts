import { appendFileSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The variable through which the test run tells its workers where to leave what is looked through at its end. */
export const recordsVariable = 'SCOPEGATE_TEST_RECORDS'

export type RecordKind = 'secrets' | 'logs' | 'output'

/** The file of one kind of records in a folder; secrets are JSON strings, one on each line, the others plain text. */
export function recordsFile(folder: string, kind: RecordKind): string {
  return join(folder, `${kind}.txt`)
}

/** Appends text to the test run's records. Outside a test run (a harness tried by hand) it goes to a fresh folder. */
export function record(kind: RecordKind, text: string): void {
  process.env[recordsVariable] ??= mkdtempSync(join(tmpdir(), 'scopegate-records-'))
  appendFileSync(recordsFile(process.env[recordsVariable], kind), text)
}
