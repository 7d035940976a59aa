import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type ClientTokens, createClientTokens, createLog, loadConfig, type TokenWish } from '../src/index.ts'
import { type AuthorizationServer, answerNever, startAuthorizationServer } from './harness/authorization-server.ts'
import { createTestClock } from './harness/clock.ts'
import { createTestLog } from './harness/logs.ts'

const clock = createTestClock(Date.now())
let sso: AuthorizationServer
let folder: string
let tokens: ClientTokens

beforeAll(async () => {
  sso = await startAuthorizationServer()
  folder = mkdtempSync(join(tmpdir(), 'scopegate-client-tokens-'))
  const file = join(folder, 'clients.yaml')
  const yaml = `
authorization_servers: { sso: { issuer: "${sso.issuer}" } }
clients:
  billing: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}", scope: country.read }
`
  writeFileSync(file, yaml)
  const config = loadConfig(file, { SECRET: sso.client.client_secret }, { routes: 'optional' })
  expect(config.warnings).toEqual([])
  createTokens = () => createClientTokens(config, { clock, log: createLog(createTestLog()) })
  tokens = createTokens()
})
afterAll(async () => {
  await tokens.close()
  await sso.stop()
  rmSync(folder, { recursive: true })
})

let createTokens: () => ClientTokens

describe("a program that asks for a client's token", () => {
  it('needs no route for it, gets what the client is configured for, and the kept one the next time', async () => {
    const first = await tokens.get('billing')
    expect(first).toMatchObject({ scope: 'country.read', askedScopes: ['country.read'], source: 'fetched' })
    const second = await tokens.get('billing')
    expect([second.source, second.value.read()]).toEqual(['memory', first.value.read()])
  })

  it('may ask for another scope', async () => {
    expect(await tokens.get('billing', { scopes: ['customer.read'] })).toMatchObject({ scope: 'customer.read' })
  })

  it.each([
    ['a member that is not known', { scope: 'a' }, /Unrecognized key: "scope"/],
    ['text instead of a list', { scopes: 'a b' }, /: scopes: /],
    ['two scopes in one', { scopes: ['a b'] }, /: scopes\.0: is "a b", and must be one scope value/],
    ['a resource with a fragment', { resource: ['https://a/#b'] }, /: resource\.0: .*without fragment/],
    ['a parameter that has a key of its own', { params: { scope: 'a' } }, /: params\.scope: /],
  ])('is told of %s, and nothing is asked', async (_, wish, message) => {
    const before = sso.requestsTo('token').length
    const asked = tokens.get('billing', wish as unknown as TokenWish)
    await expect(asked).rejects.toThrow(TypeError)
    await expect(asked).rejects.toThrow(message)
    expect(sso.requestsTo('token')).toHaveLength(before)
  })

  it("is let go with the signal's own reason", async () => {
    sso.answer('token', answerNever)
    onTestFinished(() => void sso.answer('token'))
    const reason = new Error('the user has left')
    await expect(tokens.get('billing', {}, AbortSignal.abort(reason))).rejects.toBe(reason)
    const controller = new AbortController()
    const asked = tokens.get('billing', { scopes: ['customer.write'] }, controller.signal)
    setImmediate(() => controller.abort(reason))
    await expect(asked).rejects.toBe(reason)
  })

  it('gets another token for one that an API refuses, once it is 10 s old, and no second one within 10 s', async () => {
    const first = await tokens.get('billing', { scopes: ['customer.read', 'country.read'] })
    expect(await tokens.replace(first)).toBe(undefined)
    await clock.advance(10_000)
    const second = await tokens.replace(first)
    expect(second?.value.read()).not.toBe(first.value.read())
    expect(second && (await tokens.replace(second))).toBe(undefined)
    await expect(tokens.replace({ ...first })).rejects.toThrow(TypeError)
  })

  it('is told that it has closed them', async () => {
    const own = createTokens()
    await own.close()
    await expect(own.get('billing')).rejects.toThrow(new TypeError('these client tokens are closed'))
  })
})
