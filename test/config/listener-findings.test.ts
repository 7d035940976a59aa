import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isEverybody } from '../../src/base/network.ts'
import { parseConfig } from '../../src/config/load.ts'

const warnings = (keys: string) =>
  parseConfig(
    `
listeners: { main: { ${keys} } }
routes: [{ path: /a, public: true, upstream: "http://a:8080" }]
`,
    { file: join(import.meta.dirname, 'x.yaml'), env: {} },
  ).warnings

const tls = (pair: string) => `tls: { certificate: "\${file:${pair}.pem}", private_key: "\${file:${pair}.key}" }`
const good = tls('../harness/certificates/callers/server')

describe('a listener is warned of', () => {
  it('proxies that are everybody, although no route admits by network', () => {
    expect(warnings('trusted_proxies: [loopback, 10.0.0.0/8]')).toEqual([])
    expect(warnings('trusted_proxies: [loopback, "::/0"]')).toMatchObject([
      { path: 'listeners.main.trusted_proxies[1]', message: expect.stringContaining('is everybody') },
    ])
  })

  it('a certificate of its own that has expired', () => {
    expect(warnings(good)).toEqual([])
    expect(warnings(tls('keys/expired'))).toMatchObject([
      { path: 'listeners.main.tls.certificate', message: expect.stringMatching(/^expired on \d{4}-/) },
    ])
  })

  it('a public_url in plain HTTP, beside tls alone', () => {
    expect(warnings('public_url: "http://a.example"')).toEqual([])
    expect(warnings(`${good}, public_url: "https://a.example"`)).toEqual([])
    expect(warnings(`${good}, public_url: "http://a.example"`)).toMatchObject([{ path: 'listeners.main.public_url' }])
  })
})

describe('a forward proxy is warned of', () => {
  const open = 'public: true, upstream: "http://a:8080"'
  const told = (proxy: string, more = '') =>
    parseConfig(
      `
listeners: { main: { forward_proxy: ${proxy} } }
routes: [{ path: /a, ${open}${more} }]
`,
      { file: 'x.yaml', env: {} },
    ).warnings.map(({ path, message }) => `${path}: ${message}`)

  it('where it reaches nobody', () => {
    const useless =
      'listeners.main.forward_proxy: reaches nobody: no route of this listener has a host, and pass_through names none'
    for (const proxy of ['true', '{}']) expect(told(proxy)).toEqual([useless])
    expect(told('true', ', host: a.example')).toEqual([])
    expect(told('{ pass_through: [a.example] }')).toEqual([])
    expect(told('false')).toEqual([])
  })

  it('where it names a host twice, and not for two ports', () => {
    expect(told('{ pass_through: [a.example, "a.example:8080"] }')).toEqual([])
    expect(told('{ pass_through: [a.example, "A.example.:80"] }')).toEqual([
      'listeners.main.forward_proxy.pass_through[1]: stands there twice',
    ])
  })
})

describe('networks', () => {
  it.each([
    ['0.0.0.0/0'],
    ['::/0'],
    ['::ffff:0:0/96'],
    ['::/80'],
    ['2000::/3'],
    ['0.0.0.0/1', '128.0.0.0/1'],
    ['::ffff:0.0.0.0/97', '128.0.0.0/1'],
    ['0.0.0.0/2', '64.0.0.0/2', '128.0.0.0/2', '192.0.0.0/2'],
    ['::/1', '8000::/1'],
    ['10.0.0.0/8', '0.0.0.0/0'],
  ])('are everybody: %s %s', (...networks) => expect(isEverybody(networks)).toBe(true))

  it.each([
    ['loopback'],
    ['0.0.0.0/1'],
    ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7', 'fe80::/10'],
    ['0.0.0.0', '::'],
    ['2001:db8::/32'],
  ])('are not: %s %s', (...networks) => expect(isEverybody(networks)).toBe(false))
})
