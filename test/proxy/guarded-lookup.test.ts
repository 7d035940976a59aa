import { get } from 'node:http'
import type { LookupFunction } from 'node:net'
import { expect, test } from 'vitest'
import { createGuardedLookup } from '../../src/proxy/guarded-lookup.ts'
import { upstreamOptions } from '../../src/proxy/route-options.ts'
import { createUpstream } from '../../src/proxy/upstream.ts'
import { clientsOf } from '../../src/proxy/upstream-clients.ts'
import { startUpstream } from '../harness/upstream.ts'

/*
 * `pass_through: [intranet.example]` means another machine. Whoever has a say in that name points it to 127.0.0.1, or to the
 * address at which a cloud gives out a machine's credentials, and asks the proxy for it.
 */

/** A DNS in which every name has these addresses. */
const pointingTo =
  (...addresses: readonly string[]): LookupFunction =>
  (_name, options, done) => {
    const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    if (options.all) done(null, found)
    else done(null, addresses[0] ?? '', found[0]?.family)
  }

/** What comes of a request by either client, which must be the same. */
async function reach(name: string, port: number, lookup: LookupFunction): Promise<string> {
  const { kept, target, close } = createUpstream(upstreamOptions.parse(`http://${name}:${port}`), { lookup })
  const tell = (error: NodeJS.ErrnoException) => error.code ?? error.message
  const byNode = new Promise<string>((resolve) => {
    get({ agent: kept.agent, host: name, port }, (answer) => {
      answer.resume()
      resolve(String(answer.statusCode))
    }).on('error', (error: NodeJS.ErrnoException) => resolve(tell(error)))
  })
  const byUndici = new Promise<string>((resolve) => {
    const taken = clientsOf(kept).take(target)
    taken.client.dispatch(
      { method: 'GET', path: '/' },
      {
        onRequestStart() {},
        onResponseStart: (_, status) => resolve(String(status)),
        onResponseData() {},
        onResponseEnd: () => taken.release(),
        onResponseError: (_, error) => resolve(tell(error)),
      },
    )
  })
  const both = new Set(await Promise.all([byNode, byUndici]).finally(close))
  return [...both].join(' and ')
}

test('a name that turns out to be this machine is not called', async () => {
  const upstream = await startUpstream()
  const { port } = upstream
  for (const addresses of [['127.0.0.1'], ['::1'], ['::ffff:127.0.0.1'], ['192.0.2.1', '127.0.0.1']])
    expect(await reach('intranet.example', port, createGuardedLookup(pointingTo(...addresses)))).toBe('ELEADSHERE')
  expect(upstream.requests).toHaveLength(0)
  expect(await reach('intranet.example', port, pointingTo('127.0.0.1'))).toBe('200')
  await upstream.stop()
})

test.each([
  ...['127.8.8.8', '0.0.0.0', '::', '::1', '::ffff:7f00:1', '169.254.169.254', 'fe80::1', '::ffff:169.254.169.254'],
  ...['fd00:ec2::254', 'fd20:ce::254', '100.100.100.200', '::ffff:100.100.100.200', '168.63.129.16'],
  ...['::7f00:1', '::169.254.169.254', '64:ff9b::127.0.0.1', '64:ff9b::7f08:808', '64:ff9b::a9fe:a9fe'],
])('nor is %s, and it is told both ways in which Node asks', async (address) => {
  const lookup = createGuardedLookup(pointingTo(address))
  for (const all of [true, false]) {
    const error = await new Promise((resolve) => lookup('intranet.example', { all }, resolve))
    expect(error).toMatchObject({ code: 'ELEADSHERE' })
  }
})

test('a name that says so by itself is, and so are all other addresses', async () => {
  const upstream = await startUpstream()
  expect(await reach('localhost', upstream.port, createGuardedLookup())).toBe('200')
  for (const address of [
    ...['10.0.0.7', '192.0.2.1', '2001:db8::1', '::ffff:10.0.0.7', '64:ff9b::c000:201'],
    ...['fd00:ec3::1', 'fd20:cf::1', '100.100.100.201', '168.63.129.17'],
  ])
    expect(
      await new Promise((resolve) => createGuardedLookup(pointingTo(address))('a.example', { all: true }, resolve)),
    ).toBeNull()
  await upstream.stop()
})

test('a name that nobody knows fails as ever', async () => {
  const unknown: LookupFunction = (_name, _options, done) =>
    done(Object.assign(new Error('unknown'), { code: 'ENOTFOUND' }), '')
  expect(await reach('intranet.example', 80, createGuardedLookup(unknown))).toBe('ENOTFOUND')
})
