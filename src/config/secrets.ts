import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { Substituted } from '../base/substituted.ts'

/** Where `${env:…}` and `${file:…}` find their values. */
export interface SubstitutionSources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** What a relative `${file:…}` is relative to: the folder of the configuration file. */
  readonly folder: string
}

const part = /\$\$\{|\$\{([^}]*)\}?/g

/**
 * Reads `${env:NAME}`, `${env:NAME:-default}`, `${file:PATH}` and the literal `$${` in one YAML value. Text without any
 * of them comes back as text.
 * @throws {SubstitutionError} if something in it is malformed, missing or empty
 */
export function substitute(text: string, sources: SubstitutionSources): string | Substituted {
  if (!text.includes('${')) return text
  const readers: Reader[] = []
  let fromFile = false
  let hasDefault = false
  let substituted = false
  let written = ''
  let end = 0
  for (const match of text.matchAll(part)) {
    const before = text.slice(end, match.index)
    readers.push(() => before)
    end = match.index + match[0].length
    written += before + match[0].replace(/:-.+\}$/s, ':-…}')
    if (match[1] === undefined) {
      readers.push(() => '${')
      continue
    }
    substituted = true
    fromFile ||= match[1].startsWith('file:')
    hasDefault ||= /^env:.*:-./s.test(match[1])
    readers.push(reader(match[0], match[1], sources))
  }
  const rest = text.slice(end)
  const read = () => readers.map((next) => next()).join('') + rest
  const isStale = () => readers.some((next) => next.isStale?.())
  return substituted ? new Substituted(read, { fromFile, hasDefault, written: written + rest, isStale }) : read()
}

type Reader = (() => string) & { readonly isStale?: () => boolean }

/** A substitution that cannot be made; the message says why, and never what a value is. */
export class SubstitutionError extends Error {
  override readonly name = 'SubstitutionError'
}

function reader(whole: string, inner: string, sources: SubstitutionSources): Reader {
  // The first } ends it, so that the rest of the inner one would become part of the value.
  if (inner.includes('${'))
    throw new SubstitutionError(
      'has a substitution within a substitution, and defaults cannot nest: a default is plain text',
    )
  const [, kind, name, fallback] = /^(env|file):(.*?)(?::-(.*))?$/s.exec(inner) ?? []
  if (!whole.endsWith('}') || !kind || !name) {
    throw new SubstitutionError(
      `has "${/^\$\{\w+:/.test(whole) ? whole : '${'}", and a substitution is \${env:NAME}, \${env:NAME:-default} or \${file:PATH}; a literal \${ is written $\${`,
    )
  }
  if (kind === 'file') return fileReader(resolve(sources.folder, inner.slice('file:'.length)))
  // An empty variable counts as missing: it must never become an empty secret or an open network.
  const value = sources.env[name] || fallback
  if (!value) {
    throw new SubstitutionError(
      `needs the environment variable ${name}, which is not set or empty; set it before scopegate starts`,
    )
  }
  return () => value
}

/** Reads the file again whenever it has changed. A file that has since vanished or is empty leaves its last value in force. */
function fileReader(path: string): Reader {
  const stamp = () => {
    const { mtimeMs, size, ino } = statSync(path)
    return `${mtimeMs} ${size} ${ino}`
  }
  const readText = () => readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  let seen: string
  let value: string
  try {
    seen = stamp()
    value = readText()
  } catch (error) {
    throw new SubstitutionError(
      `needs the file ${path}, which cannot be read (${(error as NodeJS.ErrnoException).code})`,
    )
  }
  if (value === '') throw new SubstitutionError(`needs the file ${path}, which is empty`)
  let stale = false
  const read = () => {
    try {
      const now = stamp()
      if (now !== seen) {
        const text = readText()
        value = text || value
        stale = text === ''
        seen = now
      }
    } catch {
      // The file is being replaced, or is gone: the value that was good stays in force until a new one is there.
      stale = true
      seen = ''
    }
    return value
  }
  return Object.assign(read, { isStale: () => stale })
}
