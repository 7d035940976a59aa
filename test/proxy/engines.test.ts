import { globSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ask } from '../harness/raw-client.ts'
import { startUpstream } from '../harness/upstream.ts'
import { engines, withEachEngine } from './engines.ts'

test('every engine there is goes through the tests of the contract', async () => {
  const folder = join(import.meta.dirname, '../../src/proxy')
  const files = globSync('*-engine.ts', { cwd: folder })
  expect(files).toHaveLength(engines.length)
  expect(new Set(engines.map(({ name }) => name)).size).toBe(engines.length)
})

withEachEngine(({ keep, proxyTo, engine }) => {
  test('it is the one that sends the requests of its tests', async () => {
    const upstream = await keep(startUpstream())
    let started = 0
    const counting = {
      ...engine,
      start(attempt: Parameters<typeof engine.start>[0]) {
        started++
        return engine.start(attempt)
      },
    }
    const proxy = await proxyTo(upstream.url, { engine: counting })
    expect((await ask(proxy.port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n')).status).toBe(200)
    expect(started).toBe(1)
  })
})
