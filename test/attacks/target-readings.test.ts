import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { RoutePattern } from '../../src/routes/pattern-owner.ts'
import { askWith } from '../routes/ask.ts'

/*
 * The attack: no list of disguises is complete. Whoever knows the server behind composes one from what that server does
 * to a path, in the order in which it does it. So servers are made up here, each a chain of the habits that servers
 * have, in any order and around at least one decoding; and whatever path such a server ends up with must belong to a
 * route that admits the same callers, or the gateway must have refused.
 */
type Habit = (path: string) => string

const eachSegment = (change: (segment: string) => string) => (path: string) => path.split('/').map(change).join('/')

const habits: Record<string, Habit> = {
  decode: (path) => decodePercent(path),
  decodeFourDigits: (path) =>
    path.replace(/%u(....)/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  lower: (path) => path.toLowerCase(),
  upperAndLower: (path) => path.toUpperCase().toLowerCase(),
  asciiLower: (path) => path.replace(/[A-Z]/g, (letter) => letter.toLowerCase()),
  cutParameters: (path) => path.replace(/;[^/]*/g, ''),
  mergeSlashes: (path) => path.replace(/\/{2,}/g, '/'),
  cutFinalSlash: (path) => (path.length > 1 ? path.replace(/\/$/, '') : path),
  turnBackslashes: (path) => path.replaceAll('\\', '/'),
  cutDots: eachSegment((segment) => segment.replace(/[. ]+$/, '')),
  cutQuery: (path) => path.replace(/[?#].*$/, ''),
  normalise: (path) => path.normalize('NFKC'),
  forgiveOverlong: (path) => path.replace(/%c0%af/gi, '/'),
  dropBadBytes: (path) => path.replace(/%(ff|c0|af)/gi, ''),
  parseUrl: (path) => (URL.canParse(path, 'http://gateway') ? new URL(path, 'http://gateway').pathname : path),
}

function decodePercent(path: string): string {
  return path.replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'))
}

/** Whose path it is, by trying every pattern: no trie, no code of the gateway's. */
function ownerOf(path: string, routes: readonly RoutePattern[]): RoutePattern | undefined {
  const segments = path.slice(1).split('/')
  const rank = (route: RoutePattern) =>
    route.path
      .slice(1)
      .split('/')
      .map((part) => ({ '*': 1, '**': 2 })[part] ?? 0)
      .join('')
  const covers = ({ path: pattern }: RoutePattern) => {
    const parts = pattern.slice(1).split('/')
    const rest = parts.at(-1) === '**'
    const fixed = rest ? parts.slice(0, -1) : parts
    if (rest ? segments.length < fixed.length : segments.length !== fixed.length) return false
    return fixed.every((part, at) => (part === '*' ? segments[at] !== '' : part === segments[at]))
  }
  return routes.filter(covers).sort((one, other) => rank(one).localeCompare(rank(other)))[0]
}

const literal = fc.constantFrom('a', 'b', 'k', '*')
const path = fc
  .tuple(fc.array(literal, { minLength: 1, maxLength: 3 }), fc.constantFrom('', '', '/', '/**'))
  .map(([segments, end]) => `/${segments.join('/')}${end}`)
const routes = fc
  .tuple(
    fc.uniqueArray(path, { maxLength: 6 }),
    fc.array(fc.constantFrom('many', 'few'), { minLength: 6, maxLength: 6 }),
  )
  .map(([paths, admissions]) => [
    ...paths.map((each, at) => ({ path: each, admission: admissions[at] ?? 'few' })),
    { path: '/**', admission: 'many' },
  ])

const plain = ['a', 'b', 'k', 'a', 'b', '/', '/', '/a', '/b']
const nasty = [
  'A',
  'K',
  '%61',
  '%41',
  '%2561',
  '%u0061',
  '%2F',
  '%5C',
  '%252f',
  ';',
  ';v=1',
  '%3B',
  '.',
  '%20',
  '%2E',
  '%3F',
  '%23',
  '//',
  '%C0%AF',
  '%FF',
  '%EF%BD%81',
  '%EF%BC%8F',
  '%E2%84%AA',
  '\u00ff',
]
const target = fc
  .tuple(
    fc.array(fc.constantFrom(...plain), { maxLength: 5 }),
    fc.array(fc.tuple(fc.nat(5), fc.constantFrom(...nasty)), { maxLength: 3 }),
  )
  .map(([good, bad]) => {
    const pieces = [...good]
    for (const [at, piece] of bad) pieces.splice(at, 0, piece)
    return `/${pieces.join('')}`
  })

const some = fc.array(fc.constantFrom(...Object.keys(habits)), { maxLength: 3 })
const server = fc.tuple(some, some).map(([before, after]) => [...before, 'decode', ...after])

it('however a server behind reads the path, it serves nobody whom that path is not open to', () => {
  let passed = 0
  const property = fc.property(
    routes,
    target,
    fc.array(server, { minLength: 10, maxLength: 10 }),
    (table, raw, servers) => {
      const answer = askWith(table)(raw)
      const route = table.find((each) => each.path === answer)
      expect(answer).toMatch(/^[4/]/)
      if (!route) return
      passed++
      for (const chain of servers) {
        const seen = chain.reduce((each, habit) => habits[habit]?.(each) ?? each, raw)
        const owner = ownerOf(seen, table)
        expect(`${chain.join(' ')}: ${seen} is for ${owner?.admission}`).toBe(
          `${chain.join(' ')}: ${seen} is for ${route.admission}`,
        )
      }
    },
  )
  fc.assert(property, { numRuns: 4000 })
  expect(passed).toBeGreaterThan(1000)
})
