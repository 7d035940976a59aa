import { delimiter, dirname } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { createPrinter } from '../../demo/print.ts'
import { showRedis } from '../../demo/redis.ts'
import { setStage } from '../../demo/stage.ts'
import { recordOutput } from '../harness/logs.ts'
import { type RunningRedis, startRedis } from '../harness/redis.ts'
import { findRedis } from '../harness/redis-binary.ts'
import { commandsIn, runShell, startDemo } from './demo-process.ts'

let redis: RunningRedis

beforeAll(async () => {
  redis = await startRedis()
  await redis.cli('set', 'somebody-else', 'stays')
})
afterAll(() => redis.stop())

const keysLeft = () => redis.cli('keys', '*')

test('with REDIS_URL the demo shows the token as it lies there, a second gateway that takes it, and leaves nothing', async () => {
  const demo = startDemo(['--once'], { REDIS_URL: redis.url })
  expect(await demo.exitCode(), demo.printed()).toBe(0)
  const told = recordOutput(demo.printed())
  expect(told).toMatch(/get 'scopegate-demo-\w{8}:\{[\w-]{43}\}:token'\n +v1\.[\w-]{11}\.[\w-]{80,}…/)
  expect(told).toContain('token=redis')
  expect(told).toContain('All was as told.')
  expect(told.match(/ ✓ /g)).toHaveLength(24)
  expect(await keysLeft()).toBe('somebody-else')
})

test('while the demo stays up its lines can be pasted, and Ctrl-C removes what it left in Redis', async () => {
  const demo = startDemo([], { REDIS_URL: redis.url })
  onTestFinished(() => void demo.child.kill('SIGTERM'))
  await vi.waitFor(() => expect(demo.printed()).toContain('Ctrl-C ends it'), { timeout: 20_000 })
  const commands = commandsIn(demo.printed())
  const { cli, env } = await findRedis()
  const PATH = `${dirname(cli)}${delimiter}${process.env.PATH}`
  const look = commands.find((command) => command.startsWith('redis-cli')) ?? expect.unreachable('no redis-cli line')
  expect((await runShell(look, { ...env, PATH, REDIS_URL: redis.url })).stdout).toMatch(/^v1\./)
  const check = commands.find((command) => command.includes(' check ')) ?? expect.unreachable('no check line')
  const { stderr } = await runShell(check)
  expect(stderr.trim().split('\n')).toEqual([expect.stringContaining('did you mean "methods"?')])
  expect((await keysLeft()).split('\n').length).toBeGreaterThan(1)

  demo.child.kill('SIGINT')
  expect(await demo.exitCode()).toBe(0)
  expect(await keysLeft()).toBe('somebody-else')
})

test('a Redis that is not there is told, and nothing is left running', async () => {
  const demo = startDemo([], { REDIS_URL: 'redis://127.0.0.1:1' })
  expect(await demo.exitCode()).toBe(1)
  expect(demo.printed()).toMatch(/could not go on: the Redis at REDIS_URL cannot be used: .*ECONNREFUSED/)
})

test('a Redis that wants a password is told as that', async () => {
  const guarded = await startRedis({ password: 'for-the-demo-alone' })
  onTestFinished(() => guarded.stop())
  const demo = startDemo([], { REDIS_URL: `redis://127.0.0.1:${guarded.port}` })
  expect(await demo.exitCode()).toBe(1)
  expect(demo.printed()).toMatch(/the Redis at REDIS_URL cannot be used: NOAUTH/)
})

test.each([
  ['as it stands', 'eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl'],
  ['encoded', `v1.${Buffer.from('{"client":"legacy-reports"}').toString('base64url')}`],
])('an entry that could be read is said to be so: %s', async (_how, value) => {
  const stage = await setStage(redis.url)
  onTestFinished(stage.stop)
  const shared = stage.redis ?? expect.unreachable('no Redis')
  const entries = async () => [{ name: 'an entry', value, secondsLeft: 3600 }]
  const failed: string[] = []
  const printer = createPrinter({ isTTY: false, write: () => true })
  await showRedis({ ...stage, redis: { ...shared, entries } }, printer, (holds, sentence) => {
    if (!holds) failed.push(sentence)
  })
  expect(failed).toContain('neither the token nor its client or scope can be read in it')
})
