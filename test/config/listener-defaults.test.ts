import { expect, it } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'

it('a listener that says nothing of limits has them all, and so has one that says something of one', () => {
  const { listeners } = parseConfig(
    `
listeners: { one: { address: "127.0.0.1:0" }, two: { address: "127.0.0.1:0", limits: { headers: 5 }, timeouts: { headers: 1s } } }
routes:
  - { path: /, listener: one, public: true, upstream: "http://127.0.0.1:1" }
  - { path: /, listener: two, public: true, upstream: "http://127.0.0.1:1" }
`,
    { file: 'test.yaml', env: {} },
  )
  const timeouts = { headers: 10_000, body_idle: 60_000, keep_alive: 65_000 }
  const limits = { header_size: 16_384, headers: 100, target_length: 8192, connections: 10_000 }
  expect(listeners.one).toMatchObject({ timeouts, limits })
  expect(listeners.two).toMatchObject({
    timeouts: { ...timeouts, headers: 1000 },
    limits: { ...limits, headers: 5 },
  })
})
