import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { systemClock } from '../base/clock.ts'
import { Secret } from '../base/secret.ts'
import { ConfigError, type Fault, formatPath } from './config-error.ts'
import { issueFaults } from './issues.ts'
import { applyPresets } from './presets.ts'
import { type Finding, referenceFindings } from './references.ts'
import { type ConfigOptions, configJsonSchema, configOptions, configOptionsWithoutRoutes } from './schema.ts'
import { SubstitutionError, type SubstitutionSources, substitute } from './secrets.ts'
import { semanticFindings } from './semantics.ts'
import { type Path, readYaml, type YamlDocument } from './yaml-document.ts'

/** A configuration that can be served. Keys are those of the file; durations are milliseconds, sizes bytes. */
export interface Config extends ConfigOptions {
  readonly file: string
  /** SHA-256 of the text of the file, taken before any secret is resolved; hexadecimal. */
  readonly hash: string
  /** What is allowed, and deserves a second look. */
  readonly warnings: readonly Fault[]
  /** What is meant, and not to be forgotten: the routes in report mode. */
  readonly notes: readonly Fault[]
}

export interface LoadOptions {
  /** `optional`: for a program that only wants tokens. It needs no route then, and clients no route that uses them. */
  readonly routes?: 'optional'
}

/**
 * Reads and checks a configuration file.
 * @throws {ConfigError} with every fault at once
 */
export function loadConfig(
  file: string,
  env: SubstitutionSources['env'] = process.env,
  options: LoadOptions = {},
): Config {
  return parseConfig(readConfigFile(file), { file, env, ...options })
}

function readConfigFile(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    const why = { ENOENT: 'does not exist', EISDIR: 'is a folder' }[code] ?? `cannot be read (${code})`
    const message = `${why}; name the configuration with --config or SCOPEGATE_CONFIG`
    throw new ConfigError(file, [{ line: 1, column: 1, path: '', message }])
  }
}

/**
 * The same for text in hand; `file` is what it is called, and what relative paths in it are relative to. Dates in it are
 * judged as seen from `now`, in milliseconds since the epoch.
 */
export function parseConfig(
  text: string,
  options: LoadOptions & { readonly file: string; readonly env?: SubstitutionSources['env']; readonly now?: number },
): Config {
  const { file, env = process.env, now = systemClock.now(), routes } = options
  const document = readYaml(text)
  if (!document.usable) throw new ConfigError(file, sorted(document.faults))
  const faults: Fault[] = []
  const written = substituteAll(
    withoutAnchors(document.values),
    [],
    { env, folder: dirname(resolve(file)) },
    (path, message) => faults.push(document.fault(path, message)),
  )
  const { values, filled } = applyPresets(written)
  const form = routes === 'optional' ? configOptionsWithoutRoutes : configOptions
  const parsed = form.safeParse(values, { reportInput: true })
  // What could not be substituted is no value that anything more could be said of.
  const unsubstituted = new Set(faults.map(({ path }) => path))
  if (!parsed.success) {
    const told = issueFaults(parsed.error.issues, { document, values, jsonSchema: configJsonSchema() })
    faults.push(...told.filter(({ path }) => !unsubstituted.has(path)).map((fault) => withPreset(fault, filled)))
  }
  const findings = [...referenceFindings(values, { routes }), ...semanticFindings(values, now)]
  const told = (chosen: (finding: Finding) => unknown) =>
    findings.filter(chosen).map(({ path, message }) => withPreset(document.fault(path, message), filled))
  faults.push(...told(({ warning, note }) => !warning && !note))
  if (!parsed.success || document.faults.length > 0 || faults.length > 0)
    throw new ConfigError(file, sorted([...document.faults, ...faults]))
  return {
    ...parsed.data,
    file,
    hash: createHash('sha256').update(text).digest('hex'),
    // A default that is of no use here is nobody's mistake.
    warnings: sorted([
      ...told(({ warning, path }) => warning && !filled.has(formatPath(path))),
      ...plainSecrets(parsed.data, [], document),
    ]),
    notes: sorted(told(({ note }) => note)),
  }
}

/** A value that nobody wrote has no place in the file, so it is told where it is from. */
function withPreset(fault: Fault, filled: ReadonlyMap<string, string>): Fault {
  const preset = filled.get(fault.path)
  return preset === undefined
    ? fault
    : { ...fault, message: `${fault.message}; that is from the preset ${preset}, and can be written here instead` }
}

/** Top-level keys that begin with `x-` are the user's own place for YAML anchors. */
function withoutAnchors(values: unknown): unknown {
  if (typeof values !== 'object' || values === null || Array.isArray(values)) return values
  return Object.fromEntries(Object.entries(values).filter(([key]) => !key.startsWith('x-')))
}

/** In the order of the file. Where YAML itself is at fault, what follows from it is left out. */
function sorted(faults: readonly Fault[]): Fault[] {
  const ofYaml = new Set(faults.filter((fault) => fault.path === '').map(placeOf))
  return [...new Map(faults.map((fault) => [`${placeOf(fault)} ${fault.message}`, fault])).values()]
    .filter((fault) => fault.path === '' || !ofYaml.has(placeOf(fault)))
    .sort((one, other) => one.line - other.line || one.column - other.column)
}

function placeOf({ line, column }: Fault): string {
  return `${line}:${column}`
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

/** Output and file have the same keys, so that a secret's path leads to its place. */
function plainSecrets(value: unknown, path: Path, document: YamlDocument): Fault[] {
  if (value instanceof Secret) {
    const message = 'is a secret that stands in the file as it is; use ${env:NAME} or ${file:PATH}'
    return value.plainText ? [document.fault(path, message)] : []
  }
  if (Array.isArray(value)) return value.flatMap((item, index) => plainSecrets(item, [...path, index], document))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, item]) => plainSecrets(item, [...path, key], document))
}
