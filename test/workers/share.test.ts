import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'
import { requireShares, shareOf } from '../../src/workers/share.ts'

const config = (connections: number) =>
  parseConfig(
    `
listeners:
  one: { address: "127.0.0.1:0", limits: { connections: ${connections}, headers: 50 } }
  two: { address: "127.0.0.1:0" }
admin: { address: "127.0.0.1:0" }
routes: [{ listener: one, path: /, public: true, upstream: "http://a" }]
`,
    { file: 'test.yaml' },
  )

describe('the shares of the workers', () => {
  it.each([
    [10, 3, [4, 3, 3]],
    [4, 4, [1, 1, 1, 1]],
    [10_000, 4, [2500, 2500, 2500, 2500]],
  ])('of %d connections, between %d, make up the whole', (connections, workers, expected) => {
    const all = expected.map((_, index) => shareOf(config(connections), { worker: index + 1, workers }))
    expect(all.map(({ listeners }) => listeners.one?.limits.connections)).toEqual(expected)
    const sums = all.map(({ listeners }) => listeners.two?.limits.connections ?? 0)
    expect(sums.reduce((sum, share) => sum + share)).toBe(10_000)
  })

  it('leave everything else as it is, but for the admin listener, which is the primary’s', () => {
    const { admin, ...whole } = config(10)
    const share = shareOf(config(10), { worker: 1, workers: 2 })
    expect(admin).toBeDefined()
    expect(share).not.toHaveProperty('admin')
    expect(share.listeners.one?.limits).toEqual({ ...whole.listeners.one?.limits, connections: 5 })
    expect([share.routes, share.hash]).toEqual([whole.routes, whole.hash])
  })

  it('are refused where there is none for one of them', () => {
    expect(() => requireShares(config(4), 4)).not.toThrow()
    expect(() => requireShares(config(3), 4)).toThrow(
      'the listener one takes 3 connections (limits.connections), too few for 4 workers',
    )
  })
})
