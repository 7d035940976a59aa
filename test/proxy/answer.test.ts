import { expect, test } from 'vitest'
import type { Attempt } from '../../src/proxy/attempt.ts'
import type { Engine } from '../../src/proxy/engine.ts'
import type { AnswerReader } from '../../src/proxy/upstream-answer.ts'
import { ask } from '../harness/raw-client.ts'
import { createKeeper } from './keep.ts'
import { until } from './proxy-server.ts'

const { proxyTo } = createKeeper()
const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'

/** Requests that have been sent, and wait for the answers that a test gives them. */
async function startRequests(count: number) {
  const attempts: Attempt[] = []
  const engine: Engine = {
    name: 'waiting',
    start(attempt) {
      attempts.push(attempt)
      return () => {}
    },
  }
  const proxy = await proxyTo('http://127.0.0.1:9', { engine })
  const answers = Array.from({ length: count }, () => ask(proxy.port, get))
  await until(() => attempts.length === count)
  const writes: Attempt[] = []
  for (const attempt of attempts) countWrites(attempt, writes)
  const all = Promise.all(answers)
  all.catch(() => {})
  return { attempts, writes, answers: all, each: Promise.allSettled(answers), results: proxy.results }
}

/** Notes whenever something goes out to the caller. */
function countWrites(attempt: Attempt, writes: Attempt[]): void {
  const { socket } = attempt.exchange.response
  if (!socket?._writev) throw new Error('there is no caller')
  const [write, writev] = [socket._write.bind(socket), socket._writev.bind(socket)]
  socket._write = (...all) => {
    writes.push(attempt)
    write(...all)
  }
  socket._writev = (...all) => {
    writes.push(attempt)
    writev(...all)
  }
}

/** Answers with the head, and with what follows at once. */
function answer(attempt: Attempt, rawHeaders: string[], follow: (reader: AnswerReader) => void): void {
  attempt.onAnswer({
    ...{ statusCode: 200, statusMessage: 'OK', httpVersion: '1.1', rawHeaders },
    read: follow,
    ...{ pause() {}, resume() {}, destroy() {} },
  })
}

const tick = () => new Promise<void>((resolve) => process.nextTick(resolve))
const turn = () => new Promise((resolve) => setImmediate(resolve))

test.each<[string, string[], string[]]>([
  ['with a length', ['content-length', '4'], ['good']],
  ['in chunks', ['transfer-encoding', 'chunked'], ['good']],
  ['without a body', ['content-length', '0'], []],
])('answers %s that came in one turn of the event loop go out together, each in one piece', async (_, head, pieces) => {
  const { attempts, writes, answers } = await startRequests(3)
  for (const attempt of attempts)
    answer(attempt, head, ({ onData, onEnd }) => {
      for (const piece of pieces) onData(Buffer.from(piece), undefined)
      onEnd()
    })
  await tick()
  expect(writes).toEqual([])
  await turn()
  expect(writes).toEqual(attempts)
  expect((await answers).map(({ status, body }) => [status, body])).toEqual(Array(3).fill([200, pieces.join('')]))
})

test('what has come of an answer goes out at the end of the turn, and the rest as it comes', async () => {
  const { attempts, writes, answers } = await startRequests(1)
  let reader: AnswerReader | undefined
  for (const attempt of attempts)
    answer(attempt, ['content-length', '12'], (given) => {
      reader = given
      given.onData(Buffer.from('good'), undefined)
    })
  await turn()
  expect(writes).toHaveLength(1)
  reader?.onData(Buffer.from('good'), undefined)
  await tick()
  expect(writes).toHaveLength(2)
  reader?.onData(Buffer.from('good'), undefined)
  reader?.onEnd()
  expect(await answers).toMatchObject([{ status: 200, body: 'goodgoodgood' }])
})

test('an answer that breaks off in its first turn is none', async () => {
  const { attempts, writes, answers } = await startRequests(1)
  for (const attempt of attempts)
    answer(attempt, ['content-length', '12'], ({ onData, onBroken }) => {
      onData(Buffer.from('good'), undefined)
      onBroken()
    })
  await expect(answers).rejects.toThrow()
  expect(writes).toEqual([])
})

test('an answer that an application around the gateway cannot take harms no other', async () => {
  const { attempts, each, results } = await startRequests(3)
  const [first] = attempts
  if (first)
    first.exchange.response.end = () => {
      throw new Error('not taken')
    }
  for (const attempt of attempts)
    answer(attempt, ['content-length', '4'], ({ onData, onEnd }) => {
      onData(Buffer.from('good'), undefined)
      onEnd()
    })
  expect((await each).map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'fulfilled', 'rejected'])
  expect(results).toHaveLength(3)
  expect(results).toContainEqual(expect.objectContaining({ code: 'internal_error' }))
})
