import fc from 'fast-check'
import { expect, it } from 'vitest'
import { askWith } from '../routes/ask.ts'
import { ownerOf, servedPaths } from './lenient-servers.ts'

/*
 * The attack: no list of disguises is complete. Whoever knows the server behind composes one from what that server does
 * to a path, in the order in which it does it. So servers are made up here, each a chain of the habits that servers
 * have, in any order and around at least one decoding; and whatever path such a server ends up with must belong to a
 * route that admits the same callers, or the gateway must have refused.
 */
const literal = fc.constantFrom('a', 'b', 'k', '*')
const path = fc
  .tuple(fc.array(literal, { minLength: 1, maxLength: 3 }), fc.constantFrom('', '', '/', '/**'))
  .map(([segments, end]) => `/${segments.join('/')}${end}`)
const routes = fc
  .tuple(
    fc.uniqueArray(path, { maxLength: 6 }),
    fc.array(fc.constantFrom('many', 'few', 'others'), { minLength: 7, maxLength: 7 }),
    fc.boolean(),
  )
  .map(([paths, admissions, withRest]) =>
    [...paths, ...(withRest || paths.length === 0 ? ['/**'] : [])].map((each, at) => ({
      path: each,
      admission: admissions[at] ?? 'few',
    })),
  )

const plain = ['a', 'b', 'k', 'a', 'b', '/', '/', '/a', '/b']
const nasty = [
  ...['A', 'K', '%61', '%41', '%2561', '%252561', '%u0061', '%u0041', '%25u0061', '%E2%84%AA', '%EF%BD%81', '\u00ff'],
  ...['%2F', '%2f', '%5C', '\\', '%252f', '%255c', '%u002f', '//', '%EF%BC%8F', '%E2%88%95', '%C0%AF', '%E0%80%AF'],
  ...[';', ';v=1', '%3B', '%253B', '%EF%BC%9B', '?', '%3F', '%23', '#', '%253F', '&', '='],
  ...['.', '..', '/.', '/..', '/../', '%2E', '%2e%2e', '%252e', '%C0%AE', '%EF%BC%8E', '..;', '...'],
  ...['%20', '+', '%00', '%0A', '%09', '%FF', '%80', '%C3', '%C1%81', '%C2%A0', '%', '%u', ':', '@', '*', '~'],
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

it('however a server behind reads the path, it serves nobody whom that path is not open to', () => {
  let passed = 0
  let read = 0
  const property = fc.property(routes, target, (table, raw) => {
    const answer = askWith(table)(raw)
    const route = table.find((each) => each.path === answer)
    expect(answer).toMatch(/^[4/]/)
    if (!route) return
    passed++
    for (const { path: served, by } of servedPaths(raw)) {
      read++
      const owner = ownerOf(served, table)
      if (owner && owner.admission !== route.admission)
        expect.fail(`${raw} is for ${route.admission}; ${by} makes it ${served}, which is for ${owner.admission}`)
    }
  })
  fc.assert(property, { numRuns: 10_000, seed: 20_261_121 })
  expect(passed).toBeGreaterThan(2000)
  expect(read).toBeGreaterThan(5 * passed)
})
