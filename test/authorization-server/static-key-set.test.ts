import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { KeySet } from '../../src/authorization-server/key-set.ts'
import { createStaticKeySet } from '../../src/authorization-server/static-key-set.ts'
import { createLog } from '../../src/base/log.ts'
import type { Secret } from '../../src/base/secret.ts'
import { parseConfig } from '../../src/config/load.ts'
import { createTestLog, type TestLog } from '../harness/logs.ts'
import { createSigningKey } from '../harness/tokens.ts'

const one = createSigningKey('ES256', 'one')
const two = createSigningKey('ES256', 'two')
const wantsOne = { alg: 'ES256', kid: 'one' } as const
const wantsTwo = { alg: 'ES256', kid: 'two' } as const

let folder: string
let log: TestLog
let file: Secret | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'static-keys-'))
  file = undefined
  log = createTestLog()
})
afterEach(() => rmSync(folder, { recursive: true }))

/** The file is looked at once a second; here at once. */
function write(document: unknown): void {
  writeFileSync(join(folder, 'keys.json'), typeof document === 'string' ? document : JSON.stringify(document))
  file?.read()
}

function open(): KeySet {
  const yaml = `
authorization_servers:
  sso: { issuer: https://sso.test, jwks: "\${file:keys.json}", access_tokens: { audience: any } }
routes: [{ path: /, require: any_token, upstream: "http://127.0.0.1:1" }]`
  file = parseConfig(yaml, { file: join(folder, 'scopegate.yaml') }).authorization_servers.sso?.jwks
  if (!file) throw new TypeError('no keys')
  return createStaticKeySet(file, 'sso', createLog(log))
}

const found = async (keys: KeySet, wanted: Parameters<KeySet['find']>[0]) => (await keys.find(wanted)).length

describe('keys in a file', () => {
  test('may be a set or one key; those for encryption are left out', async () => {
    write({ keys: [one.jwk, { ...two.jwk, use: 'enc' }] })
    expect([await found(open(), wantsOne), await found(open(), wantsTwo)]).toEqual([1, 0])
    write(one.jwk)
    expect([await found(open(), wantsOne), await found(open(), wantsTwo)]).toEqual([1, 0])
  })

  test('count as they are now: a new one is found, one that is gone is held no more, one that stays is the same', async () => {
    const three = createSigningKey('ES256', 'three')
    write({ keys: [one.jwk, two.jwk] })
    const keys = open()
    const [first, second] = [await keys.find(wantsOne), await keys.find(wantsTwo)].map(([key]) => key)
    write({ keys: [three.jwk, two.jwk] })
    expect(await found(keys, wantsOne)).toBe(0)
    expect(first && keys.holds(first)).toBe(false)
    expect(second && keys.holds(second)).toBe(true)
    expect(await found(keys, { alg: 'ES256', kid: 'three' })).toBe(1)
  })

  test('stay in force while the file is none that would be accepted', async () => {
    write({ keys: [one.jwk] })
    const keys = open()
    const [key] = await keys.find(wantsOne)
    for (const broken of [
      '{"keys":[',
      { keys: [{ ...one.jwk, use: 'enc' }] },
      { keys: [two.jwk, { kty: 'oct', k: 'AAAA' }] },
    ]) {
      write(broken)
      expect(await found(keys, wantsOne)).toBe(1)
      expect(key && keys.holds(key)).toBe(true)
      expect(await found(keys, wantsTwo)).toBe(0)
    }
    write({ keys: [two.jwk] })
    expect(await found(keys, wantsTwo)).toBe(1)
    expect(log.entries().map(({ level, msg, authorization_server: name }) => [level, msg, name])).toEqual(
      Array(3).fill(['warn', 'keys not renewed', 'sso']),
    )
    expect(log.entries()[2]?.reason).toBe(
      'jwks holds a secret: key 2 is symmetric; give the public part of each key alone',
    )
  })

  test('are withdrawn by a set without any', async () => {
    write({ keys: [one.jwk] })
    const keys = open()
    const [key] = await keys.find(wantsOne)
    write('{"keys":[]}')
    expect(await found(keys, wantsOne)).toBe(0)
    expect(key && keys.holds(key)).toBe(false)
    expect(log.entries()).toMatchObject([{ level: 'warn', msg: 'no keys: every token is refused' }])
    expect(await found(open(), wantsOne)).toBe(0)
  })

  test('count still when their file is gone or empty, which is told once', async () => {
    write({ keys: [one.jwk] })
    const keys = open()
    const [key] = await keys.find(wantsOne)
    for (const [lose, times] of [
      [() => rmSync(join(folder, 'keys.json')), 1],
      [() => writeFileSync(join(folder, 'keys.json'), ''), 2],
    ] as const) {
      lose()
      for (let turn = 0; turn < 3; turn += 1) {
        file?.read()
        expect(await found(keys, wantsOne)).toBe(1)
        expect(key && keys.holds(key)).toBe(true)
      }
      expect(log.entries().map(({ level, msg, reason }) => [level, msg, reason])).toEqual(
        Array(times).fill([
          'warn',
          'keys not renewed',
          'the file of jwks is gone or empty; the keys that it had count still',
        ]),
      )
      write({ keys: [one.jwk] })
      expect(await found(keys, wantsOne)).toBe(1)
    }
    write({ keys: [two.jwk] })
    expect([await found(keys, wantsOne), await found(keys, wantsTwo)]).toEqual([0, 1])
  })
})
