import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { createPrimaryTokenCache } from '../../../src/egress/token-cache/primary.ts'
import { createPrimaryTokens, type TokenQuestion } from '../../../src/egress/token-cache/primary-tokens.ts'
import { createLink } from '../../../src/workers/link.ts'
import { createTestClock, type TestClock } from '../../harness/clock.ts'
import { createSecret } from '../../harness/secrets.ts'
import { createToken, timed } from './caches.ts'

const request = 'the request'

/** Workers on a primary whose clock a test turns. */
function startPrimary(clock: TestClock = createTestClock()) {
  const secret = createSecret()
  const primary = createPrimaryTokens(clock)
  const worker = (ask = (question: TokenQuestion) => primary.answer({}, question)) =>
    createPrimaryTokenCache({ ask, secret, clock })
  const [one, other] = [worker(), worker()]
  return { clock, primary, worker, one, other, names: one.keysOf(request) }
}

describe('tokens that workers share through their primary', () => {
  test('are not found once they are of no use any more', async () => {
    const { clock, one, other, names } = startPrimary()
    await one.set(names, createToken(300_000, clock.now()))
    await clock.advance(294_000)
    expect(await other.get(names)).toBeDefined()
    await clock.advance(1000)
    expect(await other.get(names)).toBeUndefined()
    await one.set(names, createToken(1000, clock.now() - 2000))
    expect(await other.get(names)).toBeUndefined()
  })

  test('have names that only workers of the same primary know', () => {
    expect(startPrimary().names).not.toEqual(startPrimary().names)
  })

  test('a lease that its worker does not extend, because it hangs, ends after two seconds', async () => {
    const { clock, primary, other, names } = startPrimary()
    const [name = ''] = names
    expect(await primary.answer({}, { what: 'acquire', name, holder: 'hangs' })).toBe(true)
    let over = false
    const waiting = other.settled(names, 8000).then(() => {
      over = true
    })
    await clock.advance(1900)
    expect(over).toBe(false)
    await clock.advance(100)
    await waiting
    expect(await primary.answer({}, { what: 'extend', name, holder: 'hangs' })).toBe(false)
    expect((await other.acquire(names)).state).toBe('held')
    expect(await primary.answer({}, { what: 'release', name, holder: 'hangs' })).toBe(false)
    expect((await other.acquire(names)).state).toBe('busy')
  })

  test.each([
    ['is gone', () => Promise.reject(new Error('gone'))],
    ['does not answer', () => new Promise<never>(() => {})],
    ['answers nonsense', async () => 'nonsense' as never],
  ])('a primary that %s fails nobody, and each worker asks for itself', async (_what, ask) => {
    const { clock, worker, names } = startPrimary()
    const alone = worker(ask)
    const asked = Promise.all([
      alone.get(names),
      alone.set(names, createToken(300_000, clock.now())),
      alone.acquire(names),
      alone.settled(names, 0),
    ])
    await clock.advance(1100)
    expect(await asked).toEqual([undefined, undefined, { state: 'unavailable' }, undefined])
    expect(clock.pendingTimers()).toBe(0)
  })

  test('the lease of a worker that was killed is over at once', async () => {
    const { primary, secret } = { primary: createPrimaryTokens(systemClock), secret: createSecret() }
    const holder = fork(fileURLToPath(new URL('worker-holder.ts', import.meta.url)), {
      env: { ...process.env, SECRET: secret, REQUEST: request },
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    createLink<never, TokenQuestion>(holder, (question) => primary.answer(holder, question))
    holder.once('exit', () => primary.forget(holder))
    const [told] = (await once(holder.stdout ?? holder, 'data')) as [Buffer]
    expect(told.toString()).toBe('held')
    const ask = (question: TokenQuestion) => primary.answer({}, question)
    const one = createPrimaryTokenCache({ ask, secret, clock: systemClock })
    const names = one.keysOf(request)
    expect((await one.acquire(names)).state).toBe('busy')
    const waiting = timed(one.settled(names, 8000))
    holder.kill('SIGKILL')
    expect((await waiting).took).toBeLessThan(1000)
    expect((await one.acquire(names)).state).toBe('held')
  })
})
