import type { z } from 'zod'
import type { ScalarIssue } from '../base/scalars.ts'
import type { Fault } from './config-error.ts'
import { knownKeys, suggest } from './suggest.ts'
import type { YamlDocument } from './yaml-document.ts'

type Issue = z.core.$ZodIssue

/** Turns what the schema found into faults with their places. */
export function issueFaults(issues: readonly Issue[], document: YamlDocument, jsonSchema: unknown): Fault[] {
  return issues.flatMap((issue) => faultsOf(issue, issue.path, document, jsonSchema))
}

function faultsOf(issue: Issue, path: readonly PropertyKey[], document: YamlDocument, jsonSchema: unknown): Fault[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const message = `is not a known key${suggest(key, knownKeys(jsonSchema, path))}`
      return document.fault([...path, key], message, 'key')
    })
  }
  if (issue.code === 'invalid_union') return unionFaults(issue, path, document, jsonSchema)
  if (issue.code === 'invalid_key') return [document.fault(path, issue.issues[0]?.message ?? issue.message, 'key')]
  if (issue.code === 'invalid_type') return [document.fault(path, typeMessage(issue))]
  const unquoted = issue.code === 'custom' && (issue.params as ScalarIssue | undefined)?.unquoted
  const source = unquoted ? document.source(path) : undefined
  const remedy = source === undefined ? '' : `; write "${source}" in quotes`
  return [document.fault(path, `${issue.message}${remedy}`)]
}

/** Of several forms that a value may have, the one that was meant is the one whose kind it is. */
function unionFaults(issue: Extract<Issue, { code: 'invalid_union' }>, path: readonly PropertyKey[], document: YamlDocument, jsonSchema: unknown): Fault[] {
  if ('discriminator' in issue && issue.discriminator !== undefined) {
    const known = ((issue as { options?: readonly unknown[] }).options ?? []).filter((option) => typeof option === 'string')
    const written = document.source(path) ?? ''
    return [document.fault(path, `is "${written}", and must be one of ${known.join(', ')}${suggest(written, known)}`)]
  }
  const meant = issue.errors.find((form) => form.length > 0 && !form.some((inner) => inner.path.length === 0 && inner.code !== 'unrecognized_keys' && !isRule(inner)))
  const chosen = meant ?? issue.errors.at(-1) ?? []
  return chosen.flatMap((inner) => faultsOf(inner, [...path, ...inner.path], document, jsonSchema))
}

/** A rule over the keys of a map, which shows that the value is a map. */
function isRule(issue: Issue): boolean {
  return issue.code === 'custom' && (issue.params as { rule?: boolean } | undefined)?.rule === true
}

const kinds: Record<string, string> = { object: 'a map', record: 'a map', array: 'a list', undefined: 'missing', null: 'empty' }

function typeMessage(issue: Extract<Issue, { code: 'invalid_type' }>): string {
  const wanted = kinds[issue.expected] ?? issue.expected
  if (issue.input === undefined) return `is missing, and must be ${wanted}`
  if (issue.input === null) return `is empty, and must be ${wanted}: an empty block never means everything`
  const found = Array.isArray(issue.input) ? 'a list' : typeof issue.input === 'object' ? 'a map' : `a ${typeof issue.input}`
  return `must be ${wanted}, and is ${found}`
}
