/**
 * Whoever stands between the gateway and its authorization server, or has taken over what answers there (a proxy's error
 * page, a parked domain, a balancer that sends elsewhere), gives it a key set that is none, or a hostile one: so large that
 * reading it takes all memory, with so many keys that each token is tried for seconds, so slow that it never ends, or at
 * another address, where the attacker's own keys are. The gateway must read no more than a little of it, keep the keys that
 * it has, and not take the bad day for a reason to refuse good tokens or to let bad ones in.
 */
import { createServer, type ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { startKeyServer } from '../harness/key-server.ts'
import { listen } from '../harness/listen.ts'
import { createSigningKey } from '../harness/tokens.ts'
import { createKeyGates } from './key-gate.ts'

const good = createSigningKey('ES256', 'good')
const next = createSigningKey('ES256', 'next')
const attacker = createSigningKey('ES256', 'attacker')
const { keep, startKeyGate } = createKeyGates()

type Answer = (response: ServerResponse) => void
const json = { 'content-type': 'application/json' }
const whole =
  (body: string | Buffer, status = 200, headers: Record<string, string> = json): Answer =>
  (response) =>
    response.writeHead(status, headers).end(body)
const set = (...keys: readonly unknown[]) => JSON.stringify({ keys })
const filler = ' '.repeat(1024 * 1024)
const hostile = set(attacker.jwk)

/** How much of an endless answer was taken. */
let written = 0
function endless(response: ServerResponse): void {
  response.writeHead(200, json).write('{"keys":[')
  const more = () => {
    while (!response.destroyed) {
      written += filler.length
      if (!response.write(filler)) break
    }
  }
  response.on('drain', more)
  more()
}

const answers: Record<string, Answer> = {
  'ten megabytes of blanks before it': whole(filler.repeat(10) + hostile),
  'ten megabytes in a member of a key': whole(set({ ...attacker.jwk, x5c: [filler.repeat(10)] })),
  'ten megabytes, packed into ten kilobytes': whole(gzipSync(filler.repeat(10) + hostile), 200, {
    ...json,
    'content-encoding': 'gzip',
  }),
  'no end': endless,
  'ten thousand keys': whole(set(...Array.from({ length: 10_000 }, (_, index) => ({ kid: `${index}` })), attacker.jwk)),
  'ten thousand keys of which each is one': whole(set(...Array(10_000).fill(attacker.jwk))),
  'a hundred and one keys': whole(set(...Array(101).fill(attacker.jwk))),
  'brackets nested a hundred thousand deep': whole('{"keys":'.repeat(100_000)),
  'a page': whole('<html><body>Sign in</body></html>', 200, { 'content-type': 'text/html' }),
  'an error with keys in it': whole(hostile, 500),
  'not found, with keys in it': whole(hostile, 404),
  'created, with keys in it': whole(hostile, 201),
  'no content': whole('', 204),
  nothing: whole(''),
  'a list without a name': whole(`[${JSON.stringify(attacker.jwk)}]`),
  'one key alone': whole(JSON.stringify(attacker.jwk)),
  'keys as an object': whole(JSON.stringify({ keys: { attacker: attacker.jwk } })),
  'UTF-16': whole(Buffer.from(hostile, 'utf16le')),
  'what is cut off in the middle': whole(hostile.slice(0, -4)),
  'less than its length says': (response) => {
    response.writeHead(200, { ...json, 'content-length': '100000' }).write(hostile)
    setImmediate(() => response.destroy())
  },
  'a connection that breaks': (response) => response.destroy(),
  'headers without end': (response) => {
    response.socket?.write(`HTTP/1.1 200 OK\r\n${`X-A: ${'a'.repeat(1000)}\r\n`.repeat(500)}`)
  },
  'what is no HTTP': (response) => void response.socket?.end('SSH-2.0-OpenSSH_9.6\r\n'),
  silence: () => {},
  'headers, and then silence': (response) => void response.writeHead(200, json).write('{"keys":['),
  'a letter at a time': (response) => {
    response.writeHead(200, json)
    const timer = setInterval(() => response.write(' '), 20)
    response.on('close', () => clearInterval(timer))
  },
}

/** To where the attacker's keys are, and where nobody is to ask. */
let lure = ''
let asked = 0
beforeAll(async () => {
  const listening = await listen(
    createServer((_request, response) => {
      asked += 1
      whole(hostile)(response)
    }),
  )
  lure = `http://127.0.0.1:${listening.port}/jwks`
  return async () => {
    await listening.stop()
    expect(asked).toBe(0)
  }
})
for (const status of [301, 302, 303, 307, 308]) {
  answers[`an address elsewhere (${status})`] = (response) =>
    whole(hostile, status, { ...json, location: lure })(response)
}

describe('what is no key set leaves the keys as they are', () => {
  for (const [name, answer] of Object.entries(answers)) {
    test(name, async () => {
      const keyServer = await keep(startKeyServer('sso', good.jwk))
      const gate = await startKeyGate(await keyServer.server.endpoint('jwks_uri'))
      const remembered = gate.token(good)
      expect(await gate.status(remembered)).toBe(200)
      keyServer.answer(answer)
      await gate.clock.advance(600_000)
      await gate.logged('keys cannot be fetched')
      expect(await gate.status(remembered)).toBe(200)
      expect(await gate.status(gate.token(good, { claims: { jti: 'new' } }))).toBe(200)
      expect(await gate.status(gate.token(attacker))).toBe(503)
      expect(await gate.status(gate.token({ ...attacker, jwk: good.jwk }))).toBe(401)
      keyServer.publish(next.jwk)
      await gate.clock.advance(10_000)
      await gate.logged('keys available again')
      expect(await gate.status(gate.token(next))).toBe(200)
      expect(await gate.status(gate.token(attacker))).toBe(401)
      expect(await gate.status(remembered)).toBe(401)
      expect(gate.seen()).toHaveLength(4)
    })
  }
  test('and of what has no end, little was taken', () => expect(written).toBeLessThan(64 * 1024 * 1024))
})

const neverThere = [
  'a page',
  'silence',
  'ten thousand keys',
  'no end',
  'an address elsewhere (302)',
  'a connection that breaks',
]
const noneUsable: Record<string, readonly object[]> = {
  'no keys': [],
  'a secret': [{ kty: 'oct', k: 'c2VjcmV0', kid: 'good' }],
  'a key whose private half lies open': [{ ...good.privateKey.export({ format: 'jwk' }), kid: 'good' }],
  'a key for encryption': [{ ...good.jwk, use: 'enc' }],
  'keys that are none': [{}, { kty: 'EC' }, { kty: 'XX', kid: 'good' }],
}

describe('without any keys nothing can be decided, and that is never the fault of the caller', () => {
  const beginnings: Record<string, Answer> = {
    ...Object.fromEntries(neverThere.map((name) => [name, answers[name] ?? (() => {})])),
    ...Object.fromEntries(Object.entries(noneUsable).map(([name, keys]) => [name, whole(set(...keys))])),
  }
  for (const [name, answer] of Object.entries(beginnings)) {
    test(`at the start the server gives ${name}`, async () => {
      const keyServer = await keep(startKeyServer('sso'))
      keyServer.answer(answer)
      const gate = await startKeyGate(await keyServer.server.endpoint('jwks_uri'))
      for (const key of [good, attacker]) {
        const { status, headers } = await gate.send(gate.token(key))
        expect([status, headers['www-authenticate']]).toEqual([503, undefined])
        expect(Number(headers['retry-after'])).toBeGreaterThan(0)
      }
      expect((await gate.send(gate.token(good), '/public/a')).status).toBe(200)
      expect(gate.seen()).toEqual(['/public/a'])
      keyServer.publish(good.jwk)
      await gate.clock.advance(600_000)
      await vi.waitFor(async () => expect(await gate.status(gate.token(good))).toBe(200), { interval: 5 })
      expect(await gate.status(gate.token(attacker))).toBe(401)
    })
  }

  test('at the start nobody is there at all', async () => {
    const answer = whole(set(good.jwk))
    const server = createServer((_request, response) => answer(response))
    const { port, stop } = await listen(server)
    await stop()
    const gate = await startKeyGate(`http://127.0.0.1:${port}/jwks`)
    const { status, headers } = await gate.send(gate.token(good))
    expect([status, headers['www-authenticate'], headers['retry-after']]).toEqual([503, undefined, '1'])
    expect((await gate.send('', '/public/a')).status).toBe(200)
    await keep(
      listen(
        createServer((_request, response) => answer(response)),
        port,
      ),
    )
    await gate.clock.advance(10_000)
    await gate.logged('keys available again')
    expect(await gate.status(gate.token(good))).toBe(200)
  })
})

describe('hostile members of a good key set', () => {
  const beside: Record<string, readonly unknown[]> = {
    'what is no key at all': [null, 1, 'key', [], [good.jwk], {}, true],
    'a name that every object has': [
      { ...attacker.jwk, kid: '__proto__' },
      { ...attacker.jwk, kid: 'constructor' },
    ],
    'a certificate of somebody else': [{ ...next.jwk, x5c: ['AAAA'], x5u: 'http://127.0.0.1:1/' }],
    'members of an enormous key': [{ kty: 'RSA', kid: 'large', n: 'A'.repeat(500_000), e: 'AQAB' }],
    'an exponent of thousands of bytes': [{ ...createSigningKey('RS256', 'slow').jwk, e: 'B'.repeat(4000) }],
  }
  for (const [name, keys] of Object.entries(beside)) {
    test(`${name}, and the good one is used`, async () => {
      const keyServer = await keep(startKeyServer('sso', ...(keys as object[]), good.jwk))
      const gate = await startKeyGate(await keyServer.server.endpoint('jwks_uri'))
      expect(await gate.status(gate.token(good))).toBe(200)
      expect(await gate.status(gate.token(good, { header: { kid: undefined } }))).toBe(200)
      expect(await gate.status(gate.token(attacker))).toBe(401)
      expect(gate.seen()).toHaveLength(2)
    })
  }

  test('a second key of the same id does not push the first one out, and counts by itself', async () => {
    const second = createSigningKey('ES256', 'good')
    const keyServer = await keep(startKeyServer('sso', second.jwk, good.jwk))
    const gate = await startKeyGate(await keyServer.server.endpoint('jwks_uri'))
    expect(await gate.status(gate.token(good))).toBe(200)
    expect(await gate.status(gate.token(second))).toBe(200)
    expect(await gate.status(gate.token({ ...attacker, jwk: good.jwk }))).toBe(401)
  })
})
