import { describe, expect, it, vi } from 'vitest'
import type { RoutePattern } from '../../src/routes/pattern-owner.ts'
import { readRequestTarget } from '../../src/routes/request-target.ts'
import { createRouteTable } from '../../src/routes/route-table.ts'
import { askWith, routesFor } from './ask.ts'

describe('the most specific pattern owns the path', () => {
  const ask = askWith(
    routesFor({
      '/**': '',
      '/a/**': '',
      '/a/*': '',
      '/a/b': '',
      '/a/*/c': '',
      '/a/*/c/**': '',
      '/a/b/d/**': '',
      '/*/e': '',
      '/x/': '',
      '/x': '',
    }),
  )

  it.each([
    ['/', '/**'],
    ['/a', '/a/**'],
    ['/a/', '/a/**'],
    ['/a/b', '/a/b'],
    ['/a/%62', '/a/b'],
    ['/a/z', '/a/*'],
    ['/a/z/c', '/a/*/c'],
    ['/a/b/c', '/a/*/c'],
    ['/a/b/c/y', '/a/*/c/**'],
    ['/a/b/d', '/a/b/d/**'],
    ['/a/b/z', '/a/**'],
    ['/a/e', '/a/*'],
    ['/b/e', '/*/e'],
    ['/b/f', '/**'],
    ['/x', '/x'],
    ['/x/', '/x/'],
    ['/x/y', '/**'],
    ['/constructor', '/**'],
    ['/a?/x', '/a/**'],
  ])('%s belongs to %s', (target, owner) => {
    expect(ask(target)).toBe(owner)
  })

  it('* is one segment that is not empty, ** is the rest or nothing', () => {
    const only = askWith(routesFor({ '/a/*': '', '/b/*/**': '' }))
    expect(['/a', '/a/', '/a/x', '/a/x/y', '/a/x/'].map((target) => only(target))).toEqual([
      '404 no_route',
      '404 no_route',
      '/a/*',
      '404 no_route',
      '404 no_route',
    ])
    expect(['/b', '/b//y', '/b/x', '/b/x/y/z'].map((target) => only(target))).toEqual([
      '404 no_route',
      '404 no_route',
      '/b/*/**',
      '/b/*/**',
    ])
  })

  it('nothing is no segment for *, in any reading', () => {
    const ask = askWith(routesFor({ '/a/*/b': 'few', '/a/**': 'many' }))
    expect(ask('/a//b')).toBe('/a/**')
    expect(ask('/a/x/b')).toBe('/a/*/b')
  })

  it('an asterisk in a path is no wildcard', () => {
    expect(askWith(routesFor({ '/a/%2A': '' }))('/a/x')).toBe('404 no_route')
    expect(askWith(routesFor({ '/a/%2A': '' }))('/a/*')).toBe('/a/%2A')
  })
})

describe('hosts', () => {
  const ask = askWith([
    { label: 'any', path: '/a/b', admission: '' },
    { label: 'exact', path: '/**', host: 'api.example.com', admission: '' },
    { label: 'near', path: '/a/**', host: '*.eu.example.com', admission: '' },
    { label: 'far', path: '/**', host: '*.example.com', admission: '' },
  ])

  it.each([
    ['api.example.com', '/a/b', 'exact'],
    ['API.example.com.:443', '/a/b', 'exact'],
    ['x.eu.example.com', '/a/b', 'near'],
    ['x.eu.example.com', '/c', 'far'],
    ['y.x.eu.example.com', '/a/b', 'near'],
    ['x.example.com', '/a/b', 'far'],
    ['example.com', '/a/b', 'any'],
    ['evilexample.com', '/a/b', 'any'],
    ['api.example.com.evil.test', '/a/b', 'any'],
    ['', '/a/b', 'any'],
    ['example.com', '/c', '404 no_route'],
  ])('a request to %s for %s goes to %s', (host, target, label) => {
    expect(ask(target, { host })).toBe(label)
  })
})

describe('methods', () => {
  const ask = askWith([
    { label: 'read', path: '/a/**', methods: ['GET'], admission: 'reader' },
    { label: 'write', path: '/a/**', methods: ['POST', 'PUT'], admission: 'writer' },
    { label: 'read b', path: '/b', methods: ['GET'], admission: 'reader' },
    { label: 'all else of b', path: '/b', admission: 'writer' },
    { label: 'wide', path: '/**', admission: 'anybody' },
  ])

  it('pick among the routes with the very pattern', () => {
    expect(['GET', 'HEAD', 'PUT'].map((method) => ask('/a/x', { method }))).toEqual(['read', 'read', 'write'])
    expect(['GET', 'HEAD', 'PUT', 'PURGE'].map((method) => ask('/b', { method }))).toEqual([
      'read b',
      'read b',
      'all else of b',
      'all else of b',
    ])
  })

  it('never fall through to a wider pattern, and the answer tells what is taken', () => {
    expect(ask('/a/x', { method: 'DELETE' })).toBe('405 method_not_allowed GET, HEAD, POST, PUT')
  })

  it('an override header is a second method, and must be open to the same callers', () => {
    expect(ask('/a/x', { method: 'POST', overrides: ['PUT'] })).toBe('write')
    expect(ask('/a/x', { method: 'POST', overrides: ['GET'] })).toBe('400 ambiguous_target')
    expect(ask('/a/x', { method: 'POST', overrides: ['PUT', 'GET'] })).toBe('400 ambiguous_target')
    expect(ask('/a/x', { method: 'POST', overrides: ['DELETE'] })).toBe('400 ambiguous_target')
    expect(ask('/c', { method: 'POST', overrides: ['DELETE'] })).toBe('wide')
  })
})

describe('giving up a doubt by name', () => {
  const routes = (allow: RoutePattern['allow_in_path']): RoutePattern[] => [
    { path: '/open/**', admission: 'anybody', allow_in_path: allow },
    { path: '/open/admin/**', admission: 'admin' },
  ]

  it.each([
    ['params', '/open/admin;x/y'],
    ['case', '/open/ADMIN'],
    ['encoded_slash', '/open/admin%2Fx'],
    ['empty_segment', '/open//admin'],
    ['double_encoding', '/open/%2561dmin'],
    ['trailing_dot', '/open/admin.'],
    ['encoded_delimiter', '/open/admin%3F'],
    ['not_utf8', '/open/admin%FF'],
    ['compatibility_form', '/open/%EF%BD%81dmin'],
  ] as const)('%s lets %s through, and no other doubt does', (doubt, target) => {
    expect(askWith(routes(undefined))(target)).toBe('400 ambiguous_target')
    expect(askWith(routes([doubt]))(target)).toBe('/open/**')
    expect(askWith(routes([doubt === 'params' ? 'case' : 'params']))(target)).toBe('400 ambiguous_target')
  })

  it('a trailing slash too', () => {
    const ask = (allow?: RoutePattern['allow_in_path']) =>
      askWith([
        { path: '/a/', admission: 'x', allow_in_path: allow },
        { path: '/a', admission: 'y' },
      ])
    expect(ask()('/a/')).toBe('400 ambiguous_target')
    expect(ask(['trailing_slash'])('/a/')).toBe('/a/')
  })

  it('what leads to the same place another way is still refused', () => {
    expect(askWith(routes(['params']))('/open/admin;x.')).toBe('/open/**')
    expect(askWith(routes(['params']))('/open/admin%3Fx;y')).toBe('400 ambiguous_target')
  })

  it('dot segments and control characters are refused all the same', () => {
    expect(askWith(routes(['params', 'encoded_slash']))('/open/..;/admin')).toBe('400 invalid_target')
    expect(askWith(routes(['params', 'encoded_slash']))('/open/x%2F..%2Fadmin')).toBe('400 invalid_target')
    expect(askWith(routes(['double_encoding']))('/open/%252e%252e/admin')).toBe('400 invalid_target')
  })

  it('more than three doubts at once are too many, those given up not counted', () => {
    expect(askWith(routes(undefined))('/open/a;x//b%2Fc')).toBe('/open/**')
    expect(askWith(routes(undefined))('/open/A;x//b%2Fc')).toBe('/open/**')
    expect(askWith(routes(undefined))('/open/a;x//b%2Fc/')).toBe('400 ambiguous_target')
    expect(askWith(routes(['params']))('/open/a;x//b%2Fc/')).toBe('/open/**')
  })
})

describe('what it costs', () => {
  const target = readRequestTarget('/tenants/4711/orders/17/items/3', { targetLength: 100 })

  function lookupsAmong(count: number): number {
    const others = Array.from({ length: count }, (_, n) => [
      { path: `/service-${n}/*/orders/**`, admission: `${n}` },
      { path: `/tenants/*/resource-${n}/*`, admission: `${n}` },
    ]).flat()
    const table = createRouteTable([...others, { path: '/tenants/*/orders/*/items/*', admission: 'x' }])
    const lookups = vi.spyOn(Map.prototype, 'get')
    try {
      expect(table.match({ host: '', target, methods: ['GET'] }).path).toBe('/tenants/*/orders/*/items/*')
      return lookups.mock.calls.length
    } finally {
      lookups.mockRestore()
    }
  }

  it('grows with the depth of the path, not with the number of routes', () => {
    expect(lookupsAmong(5000)).toBe(lookupsAmong(5))
    expect(lookupsAmong(5)).toBeLessThan(12)
  })
})
