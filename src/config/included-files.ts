import { globSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { list, shown, tree, written } from './raw-values.ts'
import type { Finding } from './references.ts'
import { readSource, type Source } from './source.ts'
import type { Path } from './yaml-document.ts'

/** What `include` of a configuration takes in. */
export interface IncludedFiles {
  readonly sources: readonly Source[]
  /** What is wrong with `include` itself. */
  readonly findings: readonly Finding[]
}

type Env = Parameters<typeof readSource>[1]['env']

/** Reads the files that a configuration includes, each once, in the order of `include` and by name. */
export function readIncludedFiles(main: Source, env: Env): IncludedFiles {
  const { include } = tree(main.values)
  const entries: [Path, unknown][] = Array.isArray(include)
    ? list(include).map((entry, index) => [['include', index], entry])
    : [[['include'], include]]
  const sources: Source[] = []
  const findings: Finding[] = []
  const own = identityOf(main.file)
  const known = new Set<string>()
  for (const [path, entry] of entries) {
    const pattern = written(entry)
    if (pattern === undefined) continue
    const files = filesOf(pattern, dirname(main.file))
    // A folder that is not mounted would take its stricter routes away, and a wider route answer in their place.
    if (files.length === 0) findings.push({ path, message: `${shown(entry)} matches no file` })
    for (const file of files) {
      const identity = identityOf(file)
      if (identity === own) {
        findings.push({ path, message: 'takes in this very file; keep the others in a folder of their own' })
        continue
      }
      if (known.has(identity)) continue
      known.add(identity)
      const read = readText(file)
      // Of a variable it is told where it stands: what it holds may be a secret in the wrong place.
      if ('fault' in read)
        findings.push({ path, message: `takes in ${isPattern(pattern) ? file : shown(entry)}, which ${read.fault}` })
      else sources.push(readSource(read.text, { file, env }))
    }
  }
  return { sources, findings }
}

function isPattern(text: string): boolean {
  return /[*?[\]{}]/.test(text)
}

/** What is no pattern is one file, which must be there. */
function filesOf(pattern: string, folder: string): string[] {
  const from = (file: string) => (isAbsolute(file) ? file : join(folder, file))
  return isPattern(pattern) ? globSync(pattern, { cwd: folder }).sort().map(from) : [from(pattern)]
}

/** The same for a file and a link to it: Kubernetes shows the files of a ConfigMap under several names. */
function identityOf(file: string): string {
  try {
    return realpathSync(file)
  } catch {
    return file
  }
}

function readText(file: string): { readonly text: string } | { readonly fault: string } {
  try {
    return { text: readFileSync(file, 'utf8') }
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    const why = { ENOENT: 'does not exist', EISDIR: 'is a folder' }[code] ?? `cannot be read (${code})`
    return { fault: why }
  }
}
