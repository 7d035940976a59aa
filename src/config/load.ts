import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { systemClock } from '../base/clock.ts'
import { Secret } from '../base/secret.ts'
import { ConfigError, type Fault, formatPath } from './config-error.ts'
import { issueFaults } from './issues.ts'
import { applyPresets } from './presets.ts'
import { type Finding, referenceFindings } from './references.ts'
import { type ConfigOptions, configJsonSchema, configOptions, configOptionsWithoutRoutes } from './schema.ts'
import type { SubstitutionSources } from './secrets.ts'
import { semanticFindings } from './semantics.ts'
import { readSource, type Source } from './source.ts'
import { gatherSources, type Sources } from './sources.ts'
import type { Path } from './yaml-document.ts'

/** A configuration that can be served. Keys are those of the file; durations are milliseconds, sizes bytes. */
export interface Config extends ConfigOptions {
  readonly file: string
  /** The files that its other routes come from. */
  readonly included: readonly string[]
  /** SHA-256 of the text of the file, and of those that it includes, taken before any secret is resolved; hexadecimal. */
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

export interface ParseOptions extends LoadOptions {
  readonly file: string
  readonly env?: SubstitutionSources['env']
  readonly now?: number
  /** What is in the files that it includes, instead of what lies there now. */
  readonly included?: readonly ConfigText[]
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

/** The text of one of the files that a configuration is read from. */
export interface ConfigText {
  readonly file: string
  readonly text: string
}

/**
 * Reads and checks a configuration file, and gives back also what it was read from, itself first: with that, another process
 * reads the same configuration, whatever has become of the files.
 * @throws {ConfigError} with every fault at once
 */
export function loadConfigAndTexts(file: string): { readonly config: Config; readonly texts: readonly ConfigText[] } {
  return parseSources(readConfigFile(file), { file })
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
export function parseConfig(text: string, options: ParseOptions): Config {
  return parseSources(text, options).config
}

function parseSources(text: string, options: ParseOptions) {
  const { file, env = process.env, now = systemClock.now(), routes } = options
  const main = readSource(text, { file, env })
  if (!main.document.usable) throw new ConfigError(file, sorted(main.faults))
  const sources = gatherSources(main, env, options.included)
  const { values, filled } = applyPresets(sources.values)
  const faults = [...sources.faults]
  const form = routes === 'optional' ? configOptionsWithoutRoutes : configOptions
  const parsed = form.safeParse(values, { reportInput: true })
  // What could not be substituted is no value that anything more could be said of.
  const unsubstituted = new Set(faults.filter(({ path }) => path !== '').map(pathOf))
  if (!parsed.success) {
    const told = issueFaults(parsed.error.issues, { document: sources, values, jsonSchema: configJsonSchema() })
    faults.push(...told.filter((fault) => !unsubstituted.has(pathOf(fault))).map((fault) => withPreset(fault, filled)))
  }
  const { routeLabel } = sources
  const findings = [
    ...sources.findings,
    ...referenceFindings(values, { routes }),
    ...semanticFindings(values, { now, routeLabel }),
  ]
  const told = (chosen: (finding: Finding) => unknown) =>
    findings.filter(chosen).map(({ path, message }) => withPreset(sources.fault(path, message), filled))
  faults.push(...told(({ warning, note }) => !warning && !note))
  if (!parsed.success || faults.length > 0) throw new ConfigError(file, sorted(faults))
  const included = sources.included.map((source) => source.file)
  const config: Config = {
    ...parsed.data,
    file,
    included,
    hash: hashOf([main, ...sources.included]),
    // A default that is of no use here is nobody's mistake.
    warnings: sorted([
      ...told(({ warning, path }) => warning && !filled.has(formatPath(path))),
      ...plainSecrets(parsed.data, [], sources),
    ]),
    notes: sorted(told(({ note }) => note)),
  }
  return { config, texts: [main, ...sources.included].map((source) => ({ file: source.file, text: source.text })) }
}

/** Of a file alone, that of its text. */
function hashOf([main, ...included]: readonly Source[]): string {
  const hash = createHash('sha256').update(main?.text ?? '')
  for (const { file, text } of included) hash.update(JSON.stringify([file, text]))
  return hash.digest('hex')
}

/** A value that nobody wrote has no place in the file, so it is told where it is from. */
function withPreset(fault: Fault, filled: ReadonlyMap<string, string>): Fault {
  const preset = filled.get(fault.path)
  return preset === undefined
    ? fault
    : { ...fault, message: `${fault.message}; that is from the preset ${preset}, and can be written here instead` }
}

function pathOf({ file = '', path }: Fault): string {
  return `${file} ${path}`
}

/** In the order of the files. Where YAML itself is at fault, what follows from it is left out. */
function sorted(faults: readonly Fault[]): Fault[] {
  const ofYaml = new Set(faults.filter((fault) => fault.path === '').map(placeOf))
  return [...new Map(faults.map((fault) => [`${placeOf(fault)} ${fault.message}`, fault])).values()]
    .filter((fault) => fault.path === '' || !ofYaml.has(placeOf(fault)))
    .sort((one, other) => byFile(one, other) || one.line - other.line || one.column - other.column)
}

/** The configuration itself before what it includes. */
function byFile({ file: one = '' }: Fault, { file: other = '' }: Fault): number {
  return one === other ? 0 : one < other ? -1 : 1
}

function placeOf({ file = '', line, column }: Fault): string {
  return `${file}:${line}:${column}`
}

/** Output and file have the same keys, so that a secret's path leads to its place. */
function plainSecrets(value: unknown, path: Path, document: Pick<Sources, 'fault'>): Fault[] {
  if (value instanceof Secret) {
    const message = 'is a secret that stands in the file as it is; use ${env:NAME} or ${file:PATH}'
    return value.plainText ? [document.fault(path, message)] : []
  }
  if (Array.isArray(value)) return value.flatMap((item, index) => plainSecrets(item, [...path, index], document))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, item]) => plainSecrets(item, [...path, key], document))
}
