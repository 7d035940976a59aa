import { expect, onTestFinished, test } from 'vitest'
import { ask, parseAnswers, sendRaw } from './raw-client.ts'
import { startRawUpstream, startUpstream } from './upstream.ts'

test('the recording upstream tells what it saw, byte for byte', async () => {
  const upstream = await startUpstream()
  onTestFinished(upstream.stop)
  const answer = await ask(
    upstream.port,
    'POST /a/%2e?x=1 HTTP/1.1\r\nhost: h\r\nX-Twice: 1\r\nx-twice: 2\r\ncontent-length: 3\r\n\r\nabc',
  )
  expect(JSON.parse(answer.body)).toMatchObject({ method: 'POST', url: '/a/%2e?x=1', body: 'abc' })
  expect(upstream.requests[0]?.rawHeaders).toContain('X-Twice')
  expect(upstream.requests[0]?.body().toString()).toBe('abc')
})

test('several answers on one connection are read one after the other, chunked ones too', async () => {
  const upstream = await startUpstream((_request, response) => {
    response.write('one ')
    response.end('piece')
  })
  onTestFinished(upstream.stop)
  const request = 'GET / HTTP/1.1\r\nhost: h\r\n\r\n'
  const received = await sendRaw(upstream.port, request + request, {
    until: (text) => parseAnswers(text)[1]?.complete === true,
  })
  expect(parseAnswers(received).map((answer) => answer.body)).toEqual(['one piece', 'one piece'])
})

test('a raw upstream answers the given bytes and keeps what it received', async () => {
  const upstream = await startRawUpstream('HTTP/1.1 000 Odd\r\n\r\n')
  onTestFinished(upstream.stop)
  const received = await sendRaw(upstream.port, 'GET / HTTP/1.1\r\n\r\n', {
    until: (text) => text.includes('\r\n\r\n'),
  })
  expect(received).toBe('HTTP/1.1 000 Odd\r\n\r\n')
  expect(upstream.connections).toEqual(['GET / HTTP/1.1\r\n\r\n'])
})
