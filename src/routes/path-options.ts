import { METHODS } from 'node:http'
import { judgedText, listOf, oneOf } from '../base/scalars.ts'
import { doubts } from './doubts.ts'
import { parseHostPattern } from './host.ts'
import { parsePathPattern } from './path-pattern.ts'

function faultOf(parsed: object): string | undefined {
  return 'fault' in parsed && typeof parsed.fault === 'string' ? parsed.fault : undefined
}

/** CONNECT asks for a tunnel, and has no path that a route could own. */
const knownMethods = METHODS.filter((method) => method !== 'CONNECT')

function methodFault(given: string): string | undefined {
  if (knownMethods.includes(given)) return undefined
  const meant = knownMethods.find((method) => method === given.trim().toUpperCase())
  if (meant !== undefined) return `is "${given}", and methods are in upper case: write ${meant}`
  return `is "${given}", and must be a method of HTTP such as GET, POST, PUT, PATCH or DELETE`
}

/** A host as a route names it: exact, or `*.example.com`. */
export const hostPattern = () =>
  judgedText('a host such as api.example.com or *.example.com', (given) => faultOf(parseHostPattern(given)))

/** The part of a route that says which requests it owns. */
export const pathOptions = {
  host: hostPattern()
    .optional()
    .describe('the Host asked for: exact, or *.example.com; port and letter case do not matter'),
  path: judgedText('a path such as /orders/* or /orders/**', (given) => faultOf(parsePathPattern(given)), {
    minLength: 1,
  }).describe('literal segments, * for exactly one, ** at the end for the rest'),
  methods: listOf(judgedText('a method of HTTP such as GET or POST', methodFault, { enum: knownMethods }))
    .optional()
    .describe('default: all that no other route with this path lists; GET includes HEAD'),
  allow_in_path: listOf(oneOf(...doubts))
    .optional()
    .describe('ambiguities of the path that this route does without protection from, by name'),
}
