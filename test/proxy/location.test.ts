import { describe, expect, test } from 'vitest'
import { callerUrl } from '../../src/proxy/caller-url.ts'
import { upstreamOptions } from '../../src/proxy/route-options.ts'
import { createUpstream } from '../../src/proxy/upstream.ts'

function relocateWith(options: object) {
  const { relocate } = createUpstream(upstreamOptions.parse(options))
  return (location: string) => relocate?.(location, 'https://callers.example') ?? 'off'
}

describe("a URL of the upstream's own becomes the caller's", () => {
  const relocate = relocateWith({ url: 'https://api.example' })

  test.each([
    ['https://api.example/a?b=https://api.example#c', 'https://callers.example/a?b=https://api.example#c'],
    ['https://api.example', 'https://callers.example'],
    ['https://api.example?a', 'https://callers.example?a'],
    ['HTTPS://API.Example:443/a', 'https://callers.example/a'],
    ['//api.example/a', 'https://callers.example/a'],
    ['//api.example:443/a', 'https://callers.example/a'],
  ])('%s', (location, expected) => {
    expect(relocate(location)).toBe(expected)
  })

  test.each([
    'https://api.example.evil.example/a',
    'https://api.example@evil.example/a',
    'https://api.example:443@evil.example/a',
    'https://api.example:8443/a',
    'https://api.example:4431/a',
    'https://api.example\\.evil.example',
    'https://evil.example/https://api.example/',
    'http://api.example/a',
    'https://other.example/a',
    '/a',
    'a',
    '?a',
    '',
    '///api.example/a',
    'https:/api.example/a',
    ' https://api.example/a',
    'javascript:alert(1)',
  ])('any other stays as it is: %s', (location) => {
    expect(relocate(location)).toBe(location)
  })
})

describe('prefixes are turned back', () => {
  test.each([
    ['https://a/v2/x?y', 'https://callers.example/partner/x?y'],
    ['https://a/v2', 'https://callers.example/partner'],
    ['https://a/v2?y', 'https://callers.example/partner?y'],
    ['https://a/v20/x', 'https://a/v20/x'],
    ['https://a/login', 'https://a/login'],
    ['https://a', 'https://a'],
  ])('%s', (location, expected) => {
    const options = { url: 'https://a', strip_prefix: '/partner', add_prefix: '/v2' }
    expect(relocateWith(options)(location)).toBe(expected)
    expect(relocateWith({ url: 'https://a/v2/', strip_prefix: '/partner' })(location)).toBe(expected)
  })

  test('to the very URL that leads to where the upstream pointed', () => {
    const options = upstreamOptions.parse({ url: 'http://[::1]:81/base', strip_prefix: '/s', add_prefix: '/add' })
    const { relocate, rewrite } = createUpstream(options)
    const path = relocate?.('http://[::1]:81/base/add/x/y?z', '') ?? ''
    expect([path, rewrite(path)]).toEqual(['/s/x/y?z', '/base/add/x/y?z'])
  })
})

describe('where nobody knows what callers use, the path alone is given', () => {
  const { relocate } = createUpstream(upstreamOptions.parse('https://api.example'))

  test.each([
    ['https://api.example/a?b#c', '/a?b#c'],
    ['https://api.example', '/'],
    ['https://api.example?a', '/?a'],
    ['https://api.example#a', '/#a'],
    ['https://api.example//evil.example/a', '/evil.example/a'],
    ['https://api.example/\\evil.example/a', '/evil.example/a'],
    ['https://api.example/\t/evil.example/a', '/evil.example/a'],
    ['https://evil.example/a', 'https://evil.example/a'],
  ])('%j', (location, expected) => {
    expect(relocate?.(location, '')).toBe(expected)
  })
})

test('rewrite_location: false leaves all as it is', () => {
  expect(relocateWith({ url: 'https://a', rewrite_location: false })('https://a/x')).toBe('off')
})

describe('what callers use is', () => {
  const asked = {
    rawHeaders: [],
    trustedPeer: false,
    encrypted: false,
    publicUrl: undefined,
    ownHost: 'own.example:81',
  }
  const forwarded = ['X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'seen.example']

  test.each([
    [
      'public_url before all else',
      { publicUrl: 'https://api.example/gw/', rawHeaders: forwarded, trustedPeer: true },
      'https://api.example/gw',
    ],
    ['what a trusted proxy saw', { rawHeaders: forwarded, trustedPeer: true }, 'https://seen.example'],
    ['nothing that a stranger claims', { rawHeaders: forwarded }, 'http://own.example:81'],
    [
      'nothing of which there are two',
      { rawHeaders: [...forwarded, 'x-forwarded-host', 'other.example'], trustedPeer: true },
      'https://own.example:81',
    ],
    [
      'nothing that is a list',
      { rawHeaders: ['X-Forwarded-Host', 'a.example, b.example'], trustedPeer: true },
      'http://own.example:81',
    ],
    [
      'no scheme but those of the web',
      {
        rawHeaders: ['X-Forwarded-Proto', 'ftp', 'X-Forwarded-Host', 'seen.example'],
        trustedPeer: true,
        encrypted: true,
      },
      'https://seen.example',
    ],
    ['the host that the route names', { encrypted: true }, 'https://own.example:81'],
    ['left open without one', { ownHost: undefined }, ''],
    [
      'left open, whatever scheme a proxy tells',
      { ownHost: undefined, rawHeaders: forwarded.slice(0, 2), trustedPeer: true },
      '',
    ],
  ])('%s', (_, given, expected) => {
    expect(callerUrl({ ...asked, ...given })).toBe(expected)
  })
})
