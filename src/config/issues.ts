import type { z } from 'zod'
import type { ScalarIssue } from '../base/scalars.ts'
import { Substituted } from '../base/substituted.ts'
import { type Fault, formatPath } from './config-error.ts'
import { explainForeignKey } from './foreign-key.ts'
import { closest, knownKeys, suggest } from './suggest.ts'
import type { Path, YamlDocument } from './yaml-document.ts'

type Issue = z.core.$ZodIssue

/** A fault, and what of it makes another one needless to tell. */
interface Told {
  readonly fault: Fault
  readonly at: Path
  /** For an unknown key: the one that was meant. */
  readonly meant?: string
  readonly unknown?: true
}

/** Turns what the schema found into faults with their places. What only follows from a misspelt key is left out. */
export function issueFaults(issues: readonly Issue[], context: IssueContext): Fault[] {
  const told = issues.flatMap((issue) => tell(issue, issue.path, context))
  const needless = new Set<string>()
  for (const { at, meant, unknown } of told) {
    if (!unknown) continue
    needless.add(formatPath(at.slice(0, -1)))
    if (meant !== undefined) needless.add(formatPath([...at.slice(0, -1), meant]))
  }
  return told.filter(({ at, unknown }) => unknown || !needless.has(formatPath(at))).map(({ fault }) => fault)
}

export interface IssueContext {
  readonly document: Pick<YamlDocument, 'fault' | 'source'>
  /** What the schema was given. */
  readonly values: unknown
  readonly jsonSchema: unknown
}

function tell(issue: Issue, path: Path, context: IssueContext): Told[] {
  const { document } = context
  const at = (message: string): Told[] => [{ fault: document.fault(path, message), at: path }]
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => tellUnknown([...path, key], key, context))
  if (issue.code === 'invalid_union') return tellUnion(issue, path, context)
  if (issue.code === 'invalid_key')
    return [{ fault: document.fault(path, issue.issues[0]?.message ?? issue.message, 'key'), at: path }]
  if (issue.code === 'invalid_type') return at(typeMessage(issue))
  const unquoted = issue.code === 'custom' && (issue.params as ScalarIssue | undefined)?.unquoted
  const source = unquoted ? document.source(path) : undefined
  return at(source === undefined ? issue.message : `${issue.message}; write "${source}" in quotes`)
}

function tellUnknown(at: Path, key: string, { document, values, jsonSchema }: IssueContext): Told {
  const foreign = explainForeignKey(at, (path) => textAt(values, path))
  if (foreign !== undefined) return { fault: document.fault(at, foreign, 'key'), at, unknown: true }
  const known = knownKeys(jsonSchema, at.slice(0, -1))
  const meant = closest(key, known)
  return {
    fault: document.fault(at, `is not a known key${suggest(key, known)}`, 'key'),
    at,
    unknown: true,
    ...(meant !== undefined && { meant }),
  }
}

/** Of several forms that a value may have, the one that was meant is the one whose kind it is. */
function tellUnion(issue: Extract<Issue, { code: 'invalid_union' }>, path: Path, context: IssueContext): Told[] {
  if ('discriminator' in issue && issue.discriminator !== undefined) {
    const known = ((issue as { options?: readonly unknown[] }).options ?? []).filter(
      (option) => typeof option === 'string',
    )
    const written = context.document.source(path) ?? ''
    const meant = closest(textAt(context.values, path) ?? '', known)
    const message = `is "${written.replace(/:-[^}]+\}/g, ':-…}')}", and must be one of ${known.join(', ')}${meant === undefined ? '' : `; did you mean "${meant}"?`}`
    return [{ fault: context.document.fault(path, message), at: path }]
  }
  const concernsKind = (inner: Issue) => inner.path.length === 0 && inner.code !== 'unrecognized_keys' && !isRule(inner)
  const isText = issue.input instanceof Substituted
  const meant = issue.errors.find((form) => form.length > 0 && form.some(concernsKind) === isText)
  return (meant ?? issue.errors.at(-1) ?? []).flatMap((inner) => tell(inner, [...path, ...inner.path], context))
}

/** The text at a path, out of a variable too. */
function textAt(values: unknown, path: Path): string | undefined {
  const value = path.reduce<unknown>((current, key) => Object(current)[key], values)
  if (value instanceof Substituted) return value.fromFile ? undefined : value.read()
  return typeof value === 'string' ? value : undefined
}

/** A rule over the keys of a map, which shows that the value is a map. */
function isRule(issue: Issue): boolean {
  return issue.code === 'custom' && (issue.params as { rule?: boolean } | undefined)?.rule === true
}

const kinds: Record<string, string> = {
  object: 'a map',
  record: 'a map',
  array: 'a list',
  undefined: 'missing',
  null: 'empty',
}

function typeMessage(issue: Extract<Issue, { code: 'invalid_type' }>): string {
  const wanted = kinds[issue.expected] ?? issue.expected
  if (issue.input === undefined) return `is missing, and must be ${wanted}`
  if (issue.input === null) return `is empty, and must be ${wanted}: an empty block never means everything`
  if (typeof issue.input === 'string' || issue.input instanceof Substituted)
    return `must be ${wanted}, and is text${issue.expected === 'array' ? '; write it in [ ]' : ''}`
  const found = Array.isArray(issue.input)
    ? 'a list'
    : typeof issue.input === 'object'
      ? 'a map'
      : `a ${typeof issue.input}`
  return `must be ${wanted}, and is ${found}`
}
