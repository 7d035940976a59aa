import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { presets } from '../../src/authorization-server/presets/index.ts'
import { parseConfig } from '../../src/config/load.ts'
import { testAuthority, testCertificate } from '../harness/certificates.ts'
import { registerSecret } from '../harness/secrets.ts'
import { createSigningKey, encode } from '../harness/tokens.ts'

const folder = join(import.meta.dirname, '../../docs/servers')
const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'))
const read = (file: string) => readFileSync(join(folder, file), 'utf8')

const [client, rsa] = [testCertificate('client'), testCertificate('self-signed-rsa')]

/** A value for each kind of variable, by how its name ends. */
const values: readonly (readonly [suffix: string, value: string])[] = [
  ['RSA_KEY', rsa.privateKey],
  ['RSA_CERT', rsa.certificate],
  ['EC_KEY', client.privateKey],
  ['CLIENT_CERT', client.certificate],
  ['_CA', testAuthority],
  ['JWKS', JSON.stringify({ keys: [createSigningKey('ES256').jwk] })],
  ['JWT', registerSecret(`${encode('{"alg":"RS256"}')}.${encode('{"iss":"a","sub":"b","aud":"c"}')}.c2ln`)],
  ['SECRET', registerSecret('correct horse battery staple, and more of it')],
]

function environmentOf(text: string): Record<string, string> {
  const names = [...text.matchAll(/\$\{env:([A-Z_]+)\}/g)].map(([, name = '']) => name)
  return Object.fromEntries(names.map((name) => [name, values.find(([suffix]) => name.endsWith(suffix))?.[1] ?? '']))
}

describe('the configurations in docs/servers', () => {
  it('are thirty and more, and every preset has one', () => {
    expect(files.length).toBeGreaterThanOrEqual(30)
    const used = new Set(files.flatMap((file) => [...read(file).matchAll(/preset: ([\w-]+)/g)].map(([, name]) => name)))
    expect([...used].sort()).toEqual(presets.map(({ name }) => name).sort())
  })

  for (const file of files) {
    it(`${file} passes check --strict, and says first what it is for`, () => {
      const text = read(file)
      const config = parseConfig(text, { file: join(folder, file), env: environmentOf(text) })
      expect([...config.warnings, ...config.notes]).toEqual([])
      expect(text).toMatch(/^# [A-Z].+:/)
      expect(text.split('\n').filter((line) => line.length > 130)).toEqual([])
    })
  }

  it('are all in the index, which names no others', () => {
    const linked = [...read('README.md').matchAll(/\]\(([\w-]+\.yaml)\)/g)].map(([, file]) => file)
    expect(linked.sort()).toEqual(files.sort())
  })
})
