import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { setMethodsStage } from '../../demo/methods/stage.ts'
import { walkMethods } from '../../demo/methods/walk.ts'
import { createPrinter } from '../../demo/print.ts'
import { clientAuthMethods } from '../../src/authorization-server/client-auth/index.ts'
import { recordOutput } from '../harness/logs.ts'
import { commandsIn, type DemoProcess, runShell, startDemo, statusTold } from './demo-process.ts'

const hasCurl = spawnSync('curl', ['--version']).status === 0
const names = clientAuthMethods.map(({ name }) => name)

test('npm run demo -- --methods --once walks through every method, all as told, and exits with 0', async () => {
  const demo = startDemo(['--methods', '--once'])
  expect(await demo.exitCode(), demo.printed()).toBe(0)
  const told = recordOutput(demo.printed())
  expect(told).toContain('All was as told.')
  expect([...told.matchAll(/^\d+\. (\w+)$/gm)].map(([, name]) => name)).toEqual(names)
  expect([...told.matchAll(/^ +token_endpoint_auth_method: (\w+)$/gm)].map(([, name]) => name)).toEqual(names)
  expect(told.match(/^ +HTTP 200\n.*"token_of":"legacy-[\w-]+"/gm)).toHaveLength(names.length)
  expect(told.match(/ ✓ /g)).toHaveLength(3 * names.length)
})

describe('while it stays up', () => {
  let demo: DemoProcess

  beforeAll(async () => {
    demo = startDemo(['--methods'])
    await vi.waitFor(() => expect(demo.printed()).toContain('Ctrl-C ends it'), { timeout: 20_000 })
  })
  afterAll(() => void demo.child.kill('SIGTERM'))

  test.skipIf(!hasCurl)('every line that it printed can be pasted into a shell, and the same comes back', async () => {
    const commands = commandsIn(demo.printed())
    expect(commands).toHaveLength(names.length)
    for (const command of commands) {
      const { stdout } = await runShell(command)
      expect(stdout, command).toContain(`HTTP/1.1 ${statusTold(demo.printed(), command)} `)
    }
  })

  test('Ctrl-C ends it, and nothing is left running', async () => {
    demo.child.kill('SIGINT')
    expect(await demo.exitCode()).toBe(0)
    const urls = commandsIn(demo.printed()).flatMap((command) => command.match(/http:\/\/\S+/g) ?? [])
    expect(urls).toHaveLength(names.length)
    for (const url of urls) await expect(fetch(url)).rejects.toThrow('fetch failed')
  })
})

test('a method that the demo knows no client for stops it', async () => {
  await expect(setMethodsStage([...names, 'made_up'])).rejects.toThrow(
    'the method made_up has no client in demo/methods/entries.ts',
  )
})

test('a credential other than the one that is told is said to be so', async () => {
  const stage = await setMethodsStage(['client_secret_basic', 'client_secret_post'])
  onTestFinished(stage.stop)
  let told = ''
  const write = (piece: string | Uint8Array) => {
    told += piece
    return true
  }
  const credentialSeen = () => 'Authorization: Basic …'
  expect(await walkMethods({ ...stage, credentialSeen }, createPrinter({ isTTY: false, write }))).toBe(false)
  expect(told.match(/✗ .*/g)).toEqual(['✗ not as told: the authorization server saw Authorization: Basic …'])
})
