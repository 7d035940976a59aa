import { describe, expect, it } from 'vitest'
import { parseHostPattern, readHost } from '../../src/routes/host.ts'

describe('reading the Host header', () => {
  it.each([
    ['api.example.com', 'api.example.com'],
    ['API.Example.COM:8443', 'api.example.com'],
    ['api.example.com.', 'api.example.com'],
    ['api.example.com.:80', 'api.example.com'],
    ['localhost:', 'localhost'],
    ['10.0.0.1:8080', '10.0.0.1'],
    ['[::1]:8080', '[::1]'],
    ['[0:0:0:0:0:0:0:1]', '[::1]'],
    ['my_service', 'my_service'],
    ['', ''],
  ])('%s is the host %s', (header, host) => {
    expect(readHost(header)).toBe(host)
  })

  it('HTTP/1.0 may leave it out, HTTP/1.1 may not', () => {
    expect(readHost(undefined, '1.0')).toBe('')
    expect(() => readHost(undefined, '1.1')).toThrow(expect.objectContaining({ code: 'invalid_host' }))
  })

  it.each([
    'a, b',
    'a b',
    'user@host',
    'a/b',
    'a..b',
    '.a',
    'a..',
    'a:b',
    'a:80:80',
    '[::1',
    '::1',
    '[::1%25eth0]',
    '[::g]',
    'a%2eb',
    'é.com',
    '-a',
    'a?',
    `${'a'.repeat(64)}`,
    `${'a.'.repeat(127)}abcdef`,
  ])('refuses %s', (header) => {
    expect(() => readHost(header)).toThrow(expect.objectContaining({ code: 'invalid_host' }))
  })
})

describe('a host in a route', () => {
  it.each([
    ['api.example.com', { host: 'api.example.com' }],
    ['API.example.com', { host: 'api.example.com' }],
    ['*.Example.com', { host: '*.example.com' }],
    ['10.0.0.1', { host: '10.0.0.1' }],
    ['[0::1]', { host: '[::1]' }],
    ['::1', { host: '[::1]' }],
  ])('%s is understood', (text, host) => {
    expect(parseHostPattern(text)).toEqual(host)
  })

  it.each([
    [
      'api.example.com:8443',
      'is "api.example.com:8443", and has a port, which is never compared: write api.example.com',
    ],
    ['api.*.com', 'is "api.*.com", and * can only be the first label, as in *.example.com'],
    ['*', 'is "*", and * can only be the first label, as in *.example.com'],
    [
      'https://a.example',
      'is "https://a.example", and must be a host name such as api.example.com or *.example.com, without scheme and path',
    ],
    ['*.[::1]', 'is "*.[::1]", and must be a host name such as api.example.com or *.example.com'],
    ['a b', 'is "a b", and must be a host name such as api.example.com or *.example.com'],
  ])('%s is refused, with the remedy', (text, fault) => {
    expect(parseHostPattern(text)).toEqual({ fault })
  })
})
