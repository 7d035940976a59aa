import { dirname, resolve } from 'node:path'
import type { Fault } from './config-error.ts'
import { SubstitutionError, type SubstitutionSources, substitute } from './secrets.ts'
import { type Path, readYaml, type YamlDocument } from './yaml-document.ts'

/** One file, read: what it says, and where. */
export interface Source {
  readonly file: string
  readonly text: string
  readonly document: YamlDocument
  /** With what was substituted in them; `undefined` for what is no YAML. */
  readonly values: unknown
  /** What is wrong with its YAML and its substitutions. */
  readonly faults: readonly Fault[]
}

/** Reads the text of a file; what is relative in it is relative to the file's folder. */
export function readSource(
  text: string,
  { file, env }: Pick<SubstitutionSources, 'env'> & { readonly file: string },
): Source {
  const document = readYaml(text)
  const faults = [...document.faults]
  const values = document.usable
    ? substituteAll(withoutAnchors(document.values), [], { env, folder: dirname(resolve(file)) }, (path, message) =>
        faults.push(document.fault(path, message)),
      )
    : undefined
  return { file, text, document, values, faults }
}

/** Top-level keys that begin with `x-` are the user's own place for YAML anchors. */
function withoutAnchors(values: unknown): unknown {
  if (typeof values !== 'object' || values === null || Array.isArray(values)) return values
  return Object.fromEntries(Object.entries(values).filter(([key]) => !key.startsWith('x-')))
}

/** Works on parsed values, never on text: what a variable holds cannot add a key. */
function substituteAll(
  value: unknown,
  path: Path,
  sources: SubstitutionSources,
  report: (path: Path, message: string) => void,
): unknown {
  if (typeof value === 'string') {
    try {
      return substitute(value, sources)
    } catch (error) {
      if (!(error instanceof SubstitutionError)) throw error
      report(path, error.message)
      return value
    }
  }
  if (Array.isArray(value)) return value.map((item, index) => substituteAll(item, [...path, index], sources, report))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(
    ([key, item]) => [key, substituteAll(item, [...path, key], sources, report)] as const,
  )
  if (Object.hasOwn(value, '__proto__')) report([...path, '__proto__'], 'is not a usable key')
  return Object.fromEntries(entries)
}
