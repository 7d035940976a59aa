import { describe, expect, it } from 'vitest'
import { type ErrorCode, errorCodes, GatewayError } from '../../src/base/errors.ts'
import { createReportMode, enforce, judgeUntil, reportTo } from '../../src/ingress/report-mode.ts'
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

const fails = (error: unknown) => async () => {
  throw error
}

describe('a check in report mode', () => {
  it.each(codes)('that fails with %s lets pass whom it would have refused, and nobody else', async (code) => {
    const told: unknown[] = []
    const error = new GatewayError(code)
    const judged = reportTo((refusal) => told.push(refusal))(fails(error))
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
    await expect(reportTo(() => undefined)(fails(flaw))).rejects.toBe(flaw)
    await expect(
      reportTo(() => undefined)(() => {
        throw flaw
      }),
    ).rejects.toBe(flaw)
  })

  it('that holds gives what it found out', async () => {
    expect(await reportTo(() => expect.unreachable())(() => 'found')).toBe('found')
  })
})

it('a check that is enforced refuses', async () => {
  const error = new GatewayError('token_required')
  await expect(enforce(fails(error))).rejects.toBe(error)
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
