import { execFile, spawnSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { recordOutput } from './harness/logs.ts'
import { linesOf, statusesIn } from './harness/readme.ts'
import { freePort } from './harness/redis.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const hasCurl = spawnSync('curl', ['--version']).status === 0

interface Ports {
  /** Where something listens then. */
  readonly open: readonly number[]
  readonly closed?: readonly number[]
}

/** Takes the time that a person would, also on a busy machine: until all ports answer, and until the log is written. */
const waiting = (ports: readonly number[]) =>
  `for port in ${ports.join(' ')}; do until (: < /dev/tcp/127.0.0.1/$port) 2> /dev/null; do sleep 0.1; done; done`

/** Pastes them, on ports that are free and without the build. Gives back what was printed. */
async function paste(section: string, { open, closed = [] }: Ports): Promise<string> {
  const folder = join(tmpdir(), `scopegate-tutorial-${process.pid}`)
  let lines = linesOf(`## ${section}`)
    .replaceAll('npm ci && npm run build', '')
    .replaceAll('dist/cli/main.js', 'src/cli/main.ts')
    .replaceAll('tutorial', folder)
    .replaceAll('sleep 2', waiting(open))
    .replaceAll(/^cat \S+\.log$/gm, 'sleep 0.5; $&')
  for (const port of [...open, ...closed]) lines = lines.replaceAll(String(port), String(await freePort()))
  try {
    const { stdout } = await promisify(execFile)('/bin/bash', ['-c', lines], { cwd: root, timeout: 20_000 })
    expect(existsSync(folder)).toBe(false)
    return recordOutput(stdout)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

test.skipIf(!hasCurl)('"Five minutes" of the README can be pasted, and answers as it says', async () => {
  const printed = await paste('Five minutes', { open: [3000, 8080, 9090], closed: [9191] })
  expect(statusesIn(printed)).toEqual([200, 401, 400, 401])
  expect(printed).toContain('hello from /health')
})

test.skipIf(!hasCurl)('the legacy service of the README gets through to the API', async () => {
  const printed = await paste('A legacy service and a secured API', { open: [3001, 8081, 9292] })
  expect(statusesIn(printed)).toEqual([401, 200, 200])
  expect(printed).toMatch(/^sent as: +Authorization: Bearer …$/m)
  expect(printed.match(/^\/countries with Bearer made-up$/gm)).toHaveLength(2)
  expect([...printed.matchAll(/"client":"billing","token":"(\w+)"/g)].map(([, source]) => source)).toEqual([
    'fetched',
    'memory',
  ])
})
