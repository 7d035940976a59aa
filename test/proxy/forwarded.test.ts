import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { Networks } from '../../src/base/network.ts'
import { callerAddress, isTrustedPeer } from '../../src/proxy/forwarded.ts'

const trusted = new Networks(['10.0.0.0/8', 'fd00::/8'])

function requestFrom(peer: string | undefined, forwardedFor?: string): IncomingMessage {
  const socket = new Socket()
  Object.defineProperty(socket, 'remoteAddress', { value: peer })
  const request = new IncomingMessage(socket)
  if (forwardedFor !== undefined) request.headers['x-forwarded-for'] = forwardedFor
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
  ['10.0.0.1', 'garbage', 'unknown'],
  ['10.0.0.1', '192.0.2.1, unknown', 'unknown'],
  ['10.0.0.1', '192.0.2.1, 10.0.0.2, <script>', 'unknown'],
  [undefined, '192.0.2.1', 'unknown'],
])('a request from %s for %s came from %s', (peer, forwardedFor, caller) => {
  expect(callerAddress(requestFrom(peer, forwardedFor), trusted)).toBe(caller)
})

test('the caller is never taken for a trusted neighbour by what it writes itself', () => {
  expect(trusted.includes(callerAddress(requestFrom('10.0.0.1', 'garbage'), trusted))).toBe(false)
})

test('only the other end of the connection makes a peer trusted', () => {
  expect(isTrustedPeer(requestFrom('10.0.0.1'), trusted)).toBe(true)
  expect(isTrustedPeer(requestFrom('198.51.100.1', '10.0.0.1'), trusted)).toBe(false)
})
