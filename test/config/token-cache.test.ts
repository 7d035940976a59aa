import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'
import { createKey } from '../egress/token-cache/caches.ts'
import { createSecret } from '../harness/secrets.ts'

const route = 'routes: [{ path: /a, public: true, upstream: "http://127.0.0.1:1" }]\n'

function warningsOf(redis: string, env: Record<string, string> = {}): string[] {
  const text = `${route}token_cache:\n  redis: { ${redis}, encryption_keys: ["\${env:CACHE_KEY}"] }`
  const config = parseConfig(text, { file: 'x.yaml', env: { CACHE_KEY: createKey(), ...env } })
  return config.warnings.map(({ path, message }) => `${path}: ${message}`)
}

test.each([
  'url: "rediss://cache:6379/0"',
  'url: "redis://localhost:6379"',
  'url: "redis://[::1]:6379"',
  'sentinels: ["a:26379"], name: cache, tls: {}',
  'cluster: ["127.0.0.1:6379", "[::1]:6380"]',
])('a Redis that nobody can listen in to is fine: %s', (redis) => {
  expect(warningsOf(redis)).toEqual([])
})

test.each(['url: "redis://cache:6379"', 'sentinels: ["a:26379"], name: cache', 'cluster: ["10.0.0.1:6379"]'])(
  'a Redis without TLS on a network is worth a second look: %s',
  (redis) => {
    expect(warningsOf(redis)).toEqual([expect.stringMatching(/^token_cache\.redis: is reached without TLS/)])
  },
)

test('a password in the url that stands in the file is a secret that stands there', () => {
  const url = `redis://gateway:${createSecret()}@127.0.0.1:6379`
  expect(warningsOf(`url: "${url}"`)).toEqual([expect.stringMatching(/^token_cache\.redis\.url: is a secret/)])
  expect(warningsOf('url: "${env:URL}"', { URL: url })).toEqual([])
})

test('neither the url nor a key is shown by whatever shows the configuration', () => {
  const [password, key] = [createSecret(), createKey()]
  const text = `${route}token_cache: { redis: { url: "\${env:URL}", encryption_keys: ["\${env:KEY}"] } }`
  const env = { URL: `rediss://gateway:${password}@cache:6379`, KEY: key }
  const config = parseConfig(text, { file: 'x.yaml', env })
  const shown = inspect(config, { depth: 20 }) + JSON.stringify(config)
  expect(shown).not.toContain(password)
  expect(shown).not.toContain(key)
})
