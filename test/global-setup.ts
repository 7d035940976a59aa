import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RecordKind, recordsFile, recordsVariable } from './harness/records.ts'
import { createLeakFinder } from './harness/secrets.ts'

/** Gives the test run a folder for its records, and looks through them at its end. */
export function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'scopegate-records-'))
  process.env[recordsVariable] = folder
  return () => {
    const findings = findFaults(folder)
    if (findings.length === 0) return rmSync(folder, { recursive: true })
    throw new Error([`The logs of this test run are not clean (${folder}):`, ...findings].join('\n  '))
  }
}

/** Every line of a run's logs and recorded output that holds a secret, a token, or an error that nobody foresaw. */
export function findFaults(folder: string): string[] {
  const secrets = lines(folder, 'secrets').map((line) => String(JSON.parse(line)))
  const findLeaks = createLeakFinder(secrets)
  const findLineFaults = (line: string) =>
    line.includes('"code":"internal_error"') ? [...findLeaks(line), 'an error that nobody foresaw'] : findLeaks(line)
  const inLogs = lines(folder, 'logs').flatMap((line) => explain('logged', line, findLineFaults(line)))
  const inOutput = lines(folder, 'output').flatMap((line) => explain('printed', line, findLeaks(line)))
  return [...inLogs, ...inOutput]
}

function explain(verb: string, line: string, findings: readonly string[]): string[] {
  return findings.map((finding) => `${verb}: ${line.slice(0, 400)}\n    ${finding}`)
}

function lines(folder: string, kind: RecordKind): string[] {
  const file = recordsFile(folder, kind)
  return existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : []
}
