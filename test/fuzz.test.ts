import { expect, it } from 'vitest'
import { fuzz, kinds } from '../scripts/fuzz/run.ts'

// `npm run fuzz` runs for minutes, with a seed of its own each time.
it('hundreds of requests, tokens and configurations that nobody thought of break nothing', async () => {
  const { broken, cases, accepted, arrived } = await fuzz({ seed: 4, cases: 200 })
  expect(broken).toEqual([])
  expect(cases).toEqual(Object.fromEntries(kinds.map((kind) => [kind, 200])))
  // Neither are all of them refused at the door.
  expect(accepted).toBeGreaterThan(20)
  expect(arrived).toBeGreaterThan(50)
}, 60_000)
