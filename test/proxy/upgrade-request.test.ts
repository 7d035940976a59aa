import { expect, test } from 'vitest'
import { acceptValue } from '../../src/proxy/upgrade-answer.ts'
import { asksForWebSocket, isWebSocketRequest } from '../../src/proxy/upgrade-request.ts'
import { sampleAccept, sampleKey } from '../harness/web-socket.ts'

const head = (...rawHeaders: string[]) => ({ method: 'GET', httpVersion: '1.1', rawHeaders })
const offer = ['Connection', 'keep-alive, Upgrade', 'Upgrade', 'WebSocket']
const good = [...offer, 'Sec-WebSocket-Key', sampleKey, 'Sec-WebSocket-Version', '13']

test('a WebSocket is asked for by Upgrade and Connection together, and by no other protocol', () => {
  expect(asksForWebSocket(head(...offer))).toBe(true)
  expect(asksForWebSocket(head('Connection', 'Upgrade', 'Upgrade', 'h2c'))).toBe(false)
  expect(asksForWebSocket(head('Connection', 'Upgrade', 'Upgrade', 'websocket/13'))).toBe(false)
  expect(asksForWebSocket(head('Upgrade', 'websocket'))).toBe(false)
})

test('in HTTP/1.0 nobody asks for an upgrade', () => {
  expect(asksForWebSocket({ ...head(...offer), httpVersion: '1.0' })).toBe(false)
})

test('the connection is taken over for a good request alone', () => {
  expect(isWebSocketRequest(head(...good))).toBe(true)
  expect(isWebSocketRequest(head(...good, 'Content-Length', '0'))).toBe(true)
  expect(isWebSocketRequest({ ...head(...good), method: 'POST' })).toBe(false)
})

test('the answer to the key of RFC 6455 section 1.3 is the one there', () => {
  expect(acceptValue(sampleKey)).toBe(sampleAccept)
})
