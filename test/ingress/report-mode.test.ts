import { describe, expect, it } from 'vitest'
import { type ErrorCode, errorCodes, GatewayError } from '../../src/base/errors.ts'
import { createReportMode, judgeUntil, reportTo } from '../../src/ingress/report-mode.ts'
import { createTestClock } from '../harness/clock.ts'

const codes = Object.keys(errorCodes) as ErrorCode[]
const admission = [
  'invalid_request',
  'token_required',
  'invalid_token',
  'caller_not_allowed',
  'insufficient_scope',
  'claim_required',
  'keys_unavailable',
]

const clock = createTestClock()

const fails = (error: unknown) => async () => {
  throw error
}

describe('a check in report mode', () => {
  it.each(codes)('that fails with %s lets pass whom it would have refused, and nobody else', async (code) => {
    const told: unknown[] = []
    const error = new GatewayError(code)
    const judged = reportTo((refusal) => told.push(refusal), clock)(fails(error))
    if (admission.includes(code)) {
      expect(await judged).toBeUndefined()
      expect(told).toEqual([error])
    } else {
      await expect(judged).rejects.toBe(error)
      expect(told).toEqual([])
    }
  })

  it('that fails because the gateway has a flaw lets nobody pass', async () => {
    const flaw = new TypeError('a flaw')
    await expect(reportTo(() => undefined, clock)(fails(flaw))).rejects.toBe(flaw)
    await expect(
      reportTo(
        () => undefined,
        clock,
      )(() => {
        throw flaw
      }),
    ).rejects.toBe(flaw)
  })

  it('that holds gives what it found out', async () => {
    expect(await reportTo(() => expect.unreachable(), clock)(() => 'found')).toBe('found')
  })
})

it('a check in report mode that cannot be decided for a quarter of a second is reported as such, and its late end hurts nobody', async () => {
  const told: GatewayError[] = []
  const { promise, reject } = Promise.withResolvers<never>()
  const judged = reportTo((refusal) => told.push(refusal), clock)(() => promise)
  await clock.advance(249)
  expect(told).toEqual([])
  await clock.advance(1)
  expect(await judged).toBeUndefined()
  reject(new GatewayError('invalid_token'))
  await clock.advance(0)
  expect(told.map(({ code }) => code)).toEqual(['keys_unavailable'])
  expect(clock.pendingTimers()).toBe(0)
})

it('a route that enforces has no report mode', () => {
  expect(createReportMode({ mode: 'enforce' }, createTestClock())).toBeUndefined()
})

it.each([
  [-1, 'warning'],
  [0, 'warning'],
  [1, 'note'],
  [366 * 86_400_000, 'note'],
  [366 * 86_400_000 + 1, 'fault'],
])('a date %d ms ahead is a %s', (ahead, kind) => {
  const now = Date.UTC(2026, 10, 21)
  expect(judgeUntil(now + ahead, now).kind).toBe(kind)
})
