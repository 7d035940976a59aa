import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { Networks } from '../../src/base/network.ts'
import { callerAddress, isTrustedPeer } from '../../src/proxy/forwarded.ts'

const trusted = new Networks(['10.0.0.0/8', 'fd00::/8'])

function requestFrom(peer: string | undefined, forwardedFor?: string, forwarded?: string): IncomingMessage {
  const socket = new Socket()
  Object.defineProperty(socket, 'remoteAddress', { value: peer })
  const request = new IncomingMessage(socket)
  if (forwardedFor !== undefined) request.headers['x-forwarded-for'] = forwardedFor
  if (forwarded !== undefined) request.headers.forwarded = forwarded
  return request
}

test.each([
  ['198.51.100.1', '192.0.2.1', '198.51.100.1'],
  ['198.51.100.1', undefined, '198.51.100.1'],
  ['10.0.0.1', undefined, '10.0.0.1'],
  ['10.0.0.1', '192.0.2.1', '192.0.2.1'],
  ['::ffff:10.0.0.1', '192.0.2.9, 192.0.2.1', '192.0.2.1'],
  ['10.0.0.1', '192.0.2.1, 10.0.0.2', '192.0.2.1'],
  ['10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
  ['10.0.0.1', '192.0.2.1:4711', '192.0.2.1'],
  ['fd00::1', '[2001:db8::1]:4711', '2001:db8::1'],
  ['10.0.0.1', '[2001:db8::1]', '2001:db8::1'],
  ['10.0.0.1', '2001:DB8::1', '2001:DB8::1'],
  ['10.0.0.1', '::ffff:127.0.0.1', '127.0.0.1'],
  ['10.0.0.1', '[::ffff:192.0.2.1]:80', '192.0.2.1'],
  ['10.0.0.1', '192.0.2.9,192.0.2.1 ,\t10.0.0.2', '192.0.2.1'],
  ['10.0.0.1', '', 'unknown'],
  ['10.0.0.1', '192.0.2.1,', 'unknown'],
  ['10.0.0.1', '192.0.2.1, , 10.0.0.2', 'unknown'],
  ['10.0.0.1', '_hidden', 'unknown'],
  ['10.0.0.1', '192.0.2.1 192.0.2.2', 'unknown'],
  ['10.0.0.1', '127.1', 'unknown'],
  ['10.0.0.1', '0x7f.0.0.1', 'unknown'],
  ['10.0.0.1', '[192.0.2.1', 'unknown'],
  ['10.0.0.1', '2001:db8::1:99999:4711x', 'unknown'],
  ['10.0.0.1', 'garbage', 'unknown'],
  ['10.0.0.1', '192.0.2.1, unknown', 'unknown'],
  ['10.0.0.1', '192.0.2.1, 10.0.0.2, <script>', 'unknown'],
  [undefined, '192.0.2.1', 'unknown'],
])('a request from %s for %s came from %s', (peer, forwardedFor, caller) => {
  expect(callerAddress(requestFrom(peer, forwardedFor), trusted)).toBe(caller)
})

test.each([
  ['198.51.100.1', 'for=192.0.2.1', '198.51.100.1'],
  ['10.0.0.1', 'for=192.0.2.1', '192.0.2.1'],
  ['10.0.0.1', 'For="192.0.2.1:4711";proto=https;by=10.0.0.1', '192.0.2.1'],
  ['10.0.0.1', 'proto=http; for="[2001:db8::1]:4711"', '2001:db8::1'],
  ['10.0.0.1', 'for=192.0.2.9, for=192.0.2.1;host=a, for=10.0.0.2', '192.0.2.1'],
  ['10.0.0.1', 'for="[::ffff:127.0.0.1]"', '127.0.0.1'],
  ['10.0.0.1', 'for=192.0.2.1, proto=https', 'unknown'],
  ['10.0.0.1', 'for=unknown', 'unknown'],
  ['10.0.0.1', 'for=_hidden, for=10.0.0.2', 'unknown'],
  ['10.0.0.1', 'for="_gazonk:4711"', 'unknown'],
  ['10.0.0.1', 'for=127.0.0.1;for=192.0.2.1', 'unknown'],
  ['10.0.0.1', 'for="127.0.0.1, for=192.0.2.1', 'unknown'],
  ['10.0.0.1', 'for="x, 127.0.0.1"', 'unknown'],
  ['10.0.0.1', 'for="x 127.0.0.1"', 'unknown'],
  ['10.0.0.1', 'for=[2001:db8::1]', 'unknown'],
  ['10.0.0.1', 'for=192.0.2.1,', 'unknown'],
  ['10.0.0.1', '', 'unknown'],
  ['10.0.0.1', '192.0.2.1', 'unknown'],
])('a request from %s with Forwarded: %s came from %s', (peer, forwarded, caller) => {
  expect(callerAddress(requestFrom(peer, undefined, forwarded), trusted)).toBe(caller)
})

test.each([
  ['192.0.2.1', 'for=192.0.2.1', '192.0.2.1'],
  ['192.0.2.9, 192.0.2.1', 'for=192.0.2.1', '192.0.2.1'],
  ['127.0.0.1', 'for=192.0.2.1', 'unknown'],
  ['192.0.2.1', 'for=127.0.0.1', 'unknown'],
  ['192.0.2.1', '', 'unknown'],
])('proxies that tell of %s and of %s tell of %s', (list, forwarded, caller) => {
  expect(callerAddress(requestFrom('10.0.0.1', list, forwarded), trusted)).toBe(caller)
  expect(callerAddress(requestFrom('198.51.100.1', list, forwarded), trusted)).toBe('198.51.100.1')
})

test('the caller is never taken for a trusted neighbour by what it writes itself', () => {
  expect(trusted.includes(callerAddress(requestFrom('10.0.0.1', 'garbage'), trusted))).toBe(false)
})

test('only the other end of the connection makes a peer trusted', () => {
  expect(isTrustedPeer(requestFrom('10.0.0.1'), trusted)).toBe(true)
  expect(isTrustedPeer(requestFrom('198.51.100.1', '10.0.0.1'), trusted)).toBe(false)
})
