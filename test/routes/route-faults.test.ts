import { describe, expect, it } from 'vitest'
import type { RoutePattern } from '../../src/routes/pattern-owner.ts'
import { routeFaults } from '../../src/routes/route-faults.ts'

const faults = (...routes: readonly RoutePattern[]) =>
  routeFaults(routes).map(({ index, key, message }) => `${index}.${key} ${message}`)
const route = (path: string, more: Partial<RoutePattern> = {}): RoutePattern => ({ path, admission: 'x', ...more })

describe('two routes that cover the same requests', () => {
  const remedy = '; give each its own methods, or remove one'

  it.each<[string, RoutePattern, RoutePattern, string]>([
    ['both without methods', route('/a'), route('/a'), `1.path covers the same requests as routes[0]${remedy}`],
    [
      'spelt differently',
      route('/%61/café'),
      route('/a/caf%C3%A9'),
      `1.path covers the same requests as routes[0]${remedy}`,
    ],
    [
      'a shared method',
      route('/a', { methods: ['GET', 'PUT'] }),
      route('/a', { methods: ['PUT'] }),
      `1.methods covers the same requests as routes[0] (PUT)${remedy}`,
    ],
    [
      'GET and HEAD',
      route('/a', { methods: ['GET'] }),
      route('/a', { methods: ['HEAD'] }),
      `1.methods covers the same requests as routes[0] (HEAD)${remedy}`,
    ],
    [
      'one host in two spellings',
      route('/a', { host: 'A.example' }),
      route('/a', { host: 'a.example' }),
      `1.path covers the same requests as routes[0]${remedy}`,
    ],
  ])('are told: %s', (_, one, other, fault) => {
    expect(faults(one, other)).toEqual([fault])
  })

  it('are none with other hosts, other listeners, other methods, or all that is left', () => {
    expect(faults(route('/a'), route('/a', { host: 'a.example' }))).toEqual([])
    expect(faults(route('/a', { listener: 'one' }), route('/a', { listener: 'two' }))).toEqual([])
    expect(faults(route('/a', { methods: ['GET'] }), route('/a', { methods: ['POST'] }), route('/a'))).toEqual([])
  })

  it('are called by their labels where they have some', () => {
    expect(faults(route('/a', { label: 'the first' }), route('/a'))).toEqual([
      `1.path covers the same requests as the first${remedy}`,
    ])
  })
})

describe('two patterns that differ in letter case alone', () => {
  const told =
    '1.path differs from the path of routes[0] in letter case alone, and lets others in; many servers take both for the same'

  it('are told if they let others in', () => {
    expect(faults(route('/Admin/**'), route('/admin/**', { admission: 'y' }))[0]).toBe(told)
    expect(faults(route('/K'), route('/k', { admission: 'y', host: undefined }))[0]).toBe(told)
  })

  it('may stand beside each other if they admit alike, or are for other hosts', () => {
    expect(faults(route('/Admin/**'), route('/admin/**'))).toEqual([])
    expect(
      faults(route('/Admin', { host: 'a.example' }), route('/admin', { admission: 'y', host: 'b.example' })),
    ).toEqual([])
  })
})

describe('a pattern that no request can reach', () => {
  it.each<[string, RoutePattern[], string]>([
    [
      'parameters as a literal',
      [route('/v1;beta')],
      '0.path is never reached: a request for /v1%3Bbeta is refused, because read another way (params), it belongs to no route; give it allow_in_path: [params], or a route with the same callers for the other reading',
    ],
    [
      'a trailing slash alone',
      [route('/a/')],
      '0.path is never reached: a request for /a/ is refused, because read another way (trailing_slash), it belongs to no route; give it allow_in_path: [trailing_slash], or a route with the same callers for the other reading',
    ],
    [
      'a trailing dot beside another route',
      [route('/*/a.'), route('/*/a', { admission: 'y' })],
      '0.path is never reached: a request for /x/a. is refused, because read another way (trailing_dot), it belongs to a route that admits others; give it allow_in_path: [trailing_dot], or a route with the same callers for the other reading',
    ],
    [
      'an encoded dot segment as a literal',
      [route('/%252e%252e')],
      '0.path is never reached: a request for /%252e%252e is refused, because a dot segment or a control character, read with double_encoding',
    ],
  ])('is told, with the doubt: %s', (_, routes, fault) => {
    expect(faults(...routes)).toEqual([fault])
  })

  it('is none once the doubt is given up, or the other reading admits alike', () => {
    expect(faults(route('/v1;beta', { allow_in_path: ['params'] }))).toEqual([])
    expect(faults(route('/v1;beta'), route('/v1'))).toEqual([])
    expect(faults(route('/a/'), route('/a'))).toEqual([])
    expect(
      faults(
        route('/x/*'),
        route('/**', { admission: 'y' }),
        route('/x', { admission: 'z' }),
        route('/xx/*', { host: '*.example.com' }),
      ),
    ).toEqual([])
  })
})
