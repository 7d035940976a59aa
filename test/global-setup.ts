import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLeakFinder } from './harness/leaks.ts'
import { type RecordKind, recordsFile, recordsVariable } from './harness/records.ts'

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

/** What a run's logs and recorded output hold of secrets and tokens, and every error that nobody foresaw. */
export function findFaults(folder: string): string[] {
  const findLeaks = createLeakFinder(lines(folder, 'secrets').map((line) => String(JSON.parse(line))))
  return [
    ...explainLeaks('logged', lines(folder, 'logs'), findLeaks),
    ...lines(folder, 'logs')
      .filter(isUnforeseen)
      .map((line) => explain('logged', line, unforeseen)),
    ...explainLeaks('printed', lines(folder, 'output'), findLeaks),
  ]
}

const unforeseen = 'an error that nobody foresaw'
const isUnforeseen = (line: string) => line.includes('"code":"internal_error"')

/** By the line, where a line has it; a key may well stand in several. */
function explainLeaks(verb: string, all: readonly string[], findLeaks: (text: string) => string[]): string[] {
  const findings = findLeaks(all.join('\n'))
  if (findings.length === 0) return []
  const inLines = all.flatMap((line) => findLeaks(line).map((finding) => explain(verb, line, finding)))
  return inLines.length > 0 ? inLines : findings.map((finding) => explain(verb, 'over several lines', finding))
}

function explain(verb: string, line: string, finding: string): string {
  return `${verb}: ${line.slice(0, 400)}\n    ${finding}`
}

function lines(folder: string, kind: RecordKind): string[] {
  const file = recordsFile(folder, kind)
  return existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : []
}
