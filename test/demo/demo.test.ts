import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { recordOutput } from '../harness/logs.ts'
import { commandsIn, type DemoProcess, runShell, startDemo, statusTold } from './demo-process.ts'

/** Node is all that the tests need; only what is about curl needs curl. */
const hasCurl = spawnSync('curl', ['--version']).status === 0

test('npm run demo -- --once walks through everything, all as told, and exits with 0', async () => {
  const demo = startDemo(['--once'])
  expect(await demo.exitCode(), demo.printed()).toBe(0)
  const told = recordOutput(demo.printed())
  expect(told).toContain('All was as told.')
  expect(told).not.toContain('not as told:')
  expect(told.match(/ ✓ /g)).toHaveLength(19)
  for (const step of ['HTTP 200', 'HTTP 400', 'HTTP 401', 'HTTP 403', 'did you mean']) expect(told).toContain(step)
  expect(told).not.toContain('\x1b[')
})

test('an option that there is not is told, with those that there are', async () => {
  const demo = startDemo(['--onse'])
  expect(await demo.exitCode()).toBe(1)
  expect(demo.printed()).toMatch(/'--onse'[\s\S]*\nUsage: npm run demo \[-- \[--once\] \[--methods\]\]\n$/)
})

describe('while the demo stays up', () => {
  let demo: DemoProcess
  let commands: string[] = []

  beforeAll(async () => {
    demo = startDemo([])
    await vi.waitFor(() => expect(demo.printed()).toContain('Ctrl-C ends it'), { timeout: 20_000 })
    commands = commandsIn(demo.printed())
  })

  afterAll(() => void demo.child.kill('SIGTERM'))

  test.skipIf(!hasCurl)('every line that it printed can be pasted into a shell, and the same comes back', async () => {
    expect(commands).toHaveLength(11)
    for (const command of commands) {
      const told = statusTold(demo.printed(), command)
      const { stdout, stderr } = await runShell(command)
      if (told) expect(stdout, `${command}\n${stderr}`).toContain(`HTTP/1.1 ${told} `)
      else expect(stderr).toContain('did you mean "methods"?')
    }
  })

  test('Ctrl-C ends it, and nothing is left running', async () => {
    const ended = demo.exitCode()
    demo.child.kill('SIGINT')
    expect(await ended).toBe(0)
    const urls = commands.flatMap((command) => command.match(/http:\/\/\S+/g) ?? [])
    expect(urls).toHaveLength(10)
    for (const url of urls) await expect(fetch(url)).rejects.toThrow('fetch failed')
  })
})
