import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { identityHeadersOption, proxyRouteOptions, upstreamOptions } from '../../src/proxy/route-options.ts'
import { createUpstream, prefixCovers } from '../../src/proxy/upstream.ts'

describe('the path that the upstream gets', () => {
  test.each([
    [{}, '/a//b/?x=/../y?z', '/a//b/?x=/../y?z'],
    [{}, '//evil.example', '//evil.example'],
    [{}, '/%2e%2E/%2f;x', '/%2e%2E/%2f;x'],
    [{ path: '/base/' }, '/a', '/base/a'],
    [{ path: '/base' }, '/', '/base/'],
    [{ strip_prefix: '/partner' }, '/partner/a/b?c', '/a/b?c'],
    [{ strip_prefix: '/partner' }, '/partner', '/'],
    [{ strip_prefix: '/partner' }, '/partner?c=/partner', '/?c=/partner'],
    [{ strip_prefix: '/partner' }, '/partner/', '/'],
    [{ strip_prefix: '/partner' }, '/partner/partner', '/partner'],
    [{ strip_prefix: '/partner' }, '/%70artner/%70', '/%70'],
    [{ strip_prefix: '/partner' }, '//partner/a', '/a'],
    [{ strip_prefix: '/partner' }, '//partner//a', '//a'],
    [{ strip_prefix: '/partner', add_prefix: '/v2' }, '/partner//a', '/v2//a'],
    [{ strip_prefix: '/a/b' }, '/a/b/c', '/c'],
    [{ strip_prefix: '/partner', add_prefix: '/v2' }, '/partner', '/v2'],
    [{ strip_prefix: '/partner', add_prefix: '/v2' }, '/partner/', '/v2/'],
    [{ path: '/base', strip_prefix: '/partner', add_prefix: '/v2' }, '/partner/a?b', '/base/v2/a?b'],
  ])(
    'with %j, %s becomes %s',
    ({ path = '', ...options }: { path?: string; strip_prefix?: string; add_prefix?: string }, target, rewritten) => {
      const upstream = createUpstream(upstreamOptions.parse({ url: `http://upstream.example${path}`, ...options }))
      expect(upstream.rewrite(target)).toBe(rewritten)
    },
  )

  test.each(['/partner//evil.example/x', '/partner//', '/partner///a?b'])(
    'is never that of another host: %s',
    (target) => {
      const upstream = createUpstream(
        upstreamOptions.parse({ url: 'http://upstream.example', strip_prefix: '/partner' }),
      )
      expect(() => upstream.rewrite(target)).toThrow(expect.objectContaining({ code: 'ambiguous_target' }))
    },
  )

  test.each(['*', 'http://evil.example/', 'a', ''])('is never made of %j, which is no path', (target) => {
    const upstream = createUpstream(upstreamOptions.parse('http://upstream.example'))
    expect(() => upstream.rewrite(target)).toThrow(expect.objectContaining({ code: 'invalid_target' }))
  })
})

test.each([
  ['/partner/**', '/partner', true],
  ['/partner', '/partner', true],
  ['/%70artner/**', '/partner', true],
  ['/a/b/**', '/a/b', true],
  ['/a/**', '/a/b', false],
  ['/*/b', '/a', false],
  ['/**', '/a', false],
  ['/partners/**', '/partner', false],
])('every path of %s begins with %s: %s', (pattern, prefix, covers) => {
  expect(prefixCovers(pattern, prefix)).toBe(covers)
})

describe('the configuration', () => {
  test('of an upstream is a URL, or a map', () => {
    const defaults = { connect: 2000, response: 30_000, idle: 60_000 }
    expect(upstreamOptions.parse('http://a:8080')).toEqual({
      url: 'http://a:8080',
      host: 'upstream',
      rewrite_location: true,
      replay_body: 16_384,
      allow_http: false,
      timeouts: defaults,
    })
    expect(upstreamOptions.parse({ url: 'http://a', timeouts: { idle: '1s' } }).timeouts).toEqual({
      ...defaults,
      idle: 1000,
    })
  })

  test.each([
    'ftp://a',
    'a:8080',
    '',
    'http://user:secret@a',
    'http://a?b=c',
    'http://a#b',
    null,
    42,
    [],
    { url: 'http://a', strip_prefix: 'a' },
    { url: 'http://a', strip_prefix: '/a/' },
    { url: 'http://a', add_prefix: '/a/../b' },
    { url: 'http://a', add_prefix: '/%2e%2e' },
    { url: 'http://a', add_prefix: '/a?b' },
    { url: 'http://a', add_prefix: '/a#b' },
    { url: 'http://a', add_prefix: '//a' },
    { url: 'http://a', host: 'x' },
    { url: 'http://a', timeouts: { idle: 5 } },
    { url: 'http://a', tls: { ca: 'no certificate' } },
    { url: 'http://a', unknown: 1 },
    { strip_prefix: '/a' },
  ])('refuses the upstream %j', (given) => {
    expect(upstreamOptions.safeParse(given).success).toBe(false)
  })

  test.each([
    'Authorization',
    'authorization',
    'Host',
    'Content-Length',
    'content_length',
    'Transfer-Encoding',
    'Connection',
    'Via',
    'Proxy',
    'Proxy-Authorization',
    'X-Forwarded-For',
    'x client',
    'x:client',
    '',
    'x-cliënt',
    '__proto__',
  ])('refuses the identity header %j', (name) => {
    expect(identityHeadersOption.safeParse(JSON.parse(`{${JSON.stringify(name)}: "sub"}`)).success).toBe(false)
  })

  test('refuses no identity headers, and two spellings of one', () => {
    expect(identityHeadersOption.safeParse({}).success).toBe(false)
    expect(identityHeadersOption.safeParse({ 'X-Id': 'sub', X_Id: 'sub' }).success).toBe(false)
    expect(identityHeadersOption.parse({ 'X-Id': 'a["b.c"]' })).toEqual({ 'X-Id': ['a', 'b.c'] })
  })

  test('can be told to editors', () => {
    const schema = z.toJSONSchema(z.strictObject(proxyRouteOptions), { io: 'input', unrepresentable: 'any' })
    expect(schema.required).toEqual(['upstream'])
    expect(JSON.stringify(schema)).toContain('strip_prefix')
  })
})
