import { describe, expect, it } from 'vitest'
import type { RoutePattern } from '../../src/routes/pattern-owner.ts'
import { askWith, routesFor } from '../routes/ask.ts'
import { disguised, forbidden } from './hostile-targets.ts'

/*
 * The attack: a listener has a wide route that lets many in, and below it a narrow one for few. The caller belongs to
 * the many, and writes the narrow path in a way that this gateway takes for something else, and the server behind takes
 * for the narrow path: it folds letters, decodes twice, cuts parameters, merges slashes, trims dots, reads `//x` as a
 * host, or forgives bytes that are no UTF-8. Traefik, heimdall, Envoy, Istio, ESPv2 and OPA's plugin each had one.
 */

describe('the narrow path in disguise', () => {
  const narrow: RoutePattern[] = routesFor({ '/admin/**': 'few' })

  it.each(disguised)('%s does not slip through the wide route', (target) => {
    expect(askWith([...routesFor({ '/**': 'many' }), ...narrow])(target)).toBe('400 ambiguous_target')
  })

  it.each(disguised)('/api/v1%s does not either, below a prefix', (target) => {
    const ask = askWith(
      routesFor({ '/api/**': 'many', '/api/v1/**': 'many', '/api/v1/admin/**': 'few', '/admin/**': 'few' }),
    )
    expect(ask(`/api/v1${target}`)).toMatch(/^400 /)
  })

  it.each(disguised)('%s does not where the narrow one is one of two methods', (target) => {
    const methods: RoutePattern[] = [
      { path: '/admin/**', methods: ['GET'], admission: 'many' },
      { path: '/admin/**', methods: ['POST'], admission: 'few' },
    ]
    expect(askWith([...routesFor({ '/**': 'many' }), ...methods])(target, { method: 'POST' })).toBe(
      '400 ambiguous_target',
    )
    expect(askWith([...routesFor({ '/**': 'many' }), ...methods])(target, { method: 'DELETE' })).toBe(
      '400 ambiguous_target',
    )
  })

  it.each(['/hidden/x', '/HIDDEN/x', '/%68idden/x', '/hi%2564den/x'])(
    '%s is not free because a route says Hidden',
    (target) => {
      expect(askWith(routesFor({ '/**': 'many', '/Hidden/*': 'few' }))(target)).toBe('400 ambiguous_target')
    },
  )

  it.each(forbidden)('%s is refused whoever may come in', (target) => {
    expect(askWith(routesFor({ '/**': 'many' }))(target)).toBe('400 invalid_target')
    expect(askWith(routesFor({ '/nothing': 'many' }))(target)).toBe('400 invalid_target')
  })
})

/*
 * The attack: a literal route lets many in, the wildcard beside it few (`/users/me` and `/users/*`). The caller spells
 * the literal so that the fullest reading finds it, and a server that folds or cuts before it decodes does not.
 */
describe('a literal that hides its wildcard', () => {
  const ask = askWith(routesFor({ '/**': 'many', '/users/*': 'few', '/users/me': 'many' }))

  it.each([
    '/USERS/%4DE',
    '/users;a/me%3Bz',
    '/;a/users/me%3Bz',
    '/users./me%2E',
    '/Users/m%E2%84%AA',
    '/users%2Fme%252F',
  ])('%s is refused', (target) => {
    expect(ask(target)).toBe('400 ambiguous_target')
  })

  it.each(['/%u006de%252fx', '/%256de%u002fx'])(
    '%s is refused, to servers that know one kind of escape alone',
    (target) => {
      expect(askWith(routesFor({ '/**': 'many', '/*/x': 'few', '/me/x': 'many' }))(target)).toBe('400 ambiguous_target')
    },
  )

  it('is refused too where patterns have capital letters, and servers fold some letters and not others', () => {
    const capital = (hiding: string) => askWith(routesFor({ '/**': 'many', '/Users/*': 'few', [hiding]: 'many' }))
    expect(capital('/Users/É')('/USERS/%C3%A9')).toBe('400 ambiguous_target')
    expect(capital('/Users/ß')('/users/SS')).toBe('400 ambiguous_target')
    expect(askWith(routesFor({ '/**': 'many', '/É/*': 'few', '/É/ß': 'many' }))('/%C3%A9/SS')).toBe(
      '400 ambiguous_target',
    )
    expect(askWith(routesFor({ '/**': 'many', '/A/ß': 'few' }))('/a/SS')).toBe('400 ambiguous_target')
    expect(capital('/Users/É')('/Users/%C3%89')).toBe('/Users/É')
  })

  it('spelt plainly it is what it is', () => {
    expect(ask('/users/me')).toBe('/users/me')
    expect(ask('/users/you')).toBe('/users/*')
  })
})

/* The attack: a byte that is no UTF-8, which servers read as a letter of latin1, drop, or put a mark in its place. */
describe('a letter in another encoding', () => {
  const ask = askWith(routesFor({ '/**': 'many', '/café/**': 'few', '/%EF%BF%BD/b': 'few' }))

  it.each(['/caf%E9/x', '/caf\u00e9/x', '/caf%25E9/x', '/CAF%C9/x', '/%FF/b'])('%s is refused', (target) => {
    expect(ask(target)).toBe('400 ambiguous_target')
  })
})

/* The attack: a name in Host that the gateway and the server behind it do not read alike. */
describe('a host in disguise', () => {
  const ask = askWith([
    { path: '/**', admission: 'many' },
    { path: '/**', label: 'inside', host: '*.internal.example', admission: 'few' },
    { path: '/**', label: 'loopback', host: '[::1]', admission: 'few' },
  ])

  it.each([
    ['A.INTERNAL.example', 'inside'],
    ['a.internal.example.', 'inside'],
    ['a.internal.example.:443', 'inside'],
    ['[0:0:0:0:0:0:0:1]:80', 'loopback'],
    ['[::0001]', 'loopback'],
    ['a.internal.example..', '400 invalid_host'],
    ['user@a.internal.example', '400 invalid_host'],
    ['a.internal.example,b.example', '400 invalid_host'],
    ['a%2Einternal.example', '400 invalid_host'],
    ['a.internal.example#', '400 invalid_host'],
  ])('%s is %s', (host, answer) => {
    expect(ask('/x', { host })).toBe(answer)
  })
})
