import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { recordOutput } from '../harness/logs.ts'

const root = new URL('../..', import.meta.url)
const environment = { ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined }

/** Node is all that the tests need; only what is about curl needs curl. */
const hasCurl = spawnSync('curl', ['--version']).status === 0

function startDemo(...options: string[]) {
  const child = spawn(process.execPath, ['demo/main.ts', ...options], { cwd: root, env: environment })
  let printed = ''
  child.stdout.on('data', (piece: Buffer) => {
    printed += piece
  })
  child.stderr.on('data', (piece: Buffer) => {
    printed += piece
  })
  return { child, printed: () => printed }
}

async function exitCodeOf(child: ChildProcess): Promise<unknown> {
  return child.exitCode ?? (await once(child, 'exit'))[0]
}

test('npm run demo -- --once walks through everything, all as told, and exits with 0', async () => {
  const { child, printed } = startDemo('--once')
  expect(await exitCodeOf(child), printed()).toBe(0)
  const told = recordOutput(printed())
  expect(told).toContain('All was as told.')
  expect(told).not.toContain('not as told:')
  expect(told.match(/ ✓ /g)).toHaveLength(19)
  for (const step of ['HTTP 200', 'HTTP 400', 'HTTP 401', 'HTTP 403', 'did you mean']) expect(told).toContain(step)
  expect(told).not.toContain('\x1b[')
})

describe('while the demo stays up', () => {
  let demo: ReturnType<typeof startDemo>
  let commands: string[] = []

  beforeAll(async () => {
    demo = startDemo()
    await vi.waitFor(() => expect(demo.printed()).toContain('Ctrl-C ends it'), { timeout: 20_000 })
    commands = [...demo.printed().matchAll(/^ {2}\$ (.*)$/gm)].map(([, line = '']) => line)
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
    const ended = exitCodeOf(demo.child)
    demo.child.kill('SIGINT')
    expect(await ended).toBe(0)
    const urls = commands.flatMap((command) => command.match(/http:\/\/\S+/g) ?? [])
    expect(urls).toHaveLength(10)
    for (const url of urls) await expect(fetch(url)).rejects.toThrow('fetch failed')
  })
})

/** The status that the demo showed below a command. */
function statusTold(printed: string, command: string): string | undefined {
  const below = printed.slice(printed.indexOf(`$ ${command}\n`) + command.length + 3)
  return /^ +HTTP (\d+)/.exec(below)?.[1]
}

async function runShell(command: string): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const run = promisify(execFile)
  try {
    return await run('/bin/sh', ['-c', command], { cwd: root, encoding: 'utf8' })
  } catch (error) {
    return error as { stdout: string; stderr: string }
  }
}
