import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { runProgram, startProgram } from '../harness/process.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'scopegate-loaded-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Runs in the program, before all else, and writes down each module that it loads. */
const recorder = `data:text/javascript,${encodeURIComponent(`
import { appendFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
registerHooks({
  load(url, context, next) {
    appendFileSync(process.env.LOADED_MODULES, url + '\\n')
    return next(url, context)
  },
})`)}`

/** How to run the program so that it can be told which libraries it has loaded so far. */
function recording() {
  const file = join(folder, `${Math.random()}.txt`)
  writeFileSync(file, '')
  const libraries = () => {
    const found = readFileSync(file, 'utf8').matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/g)
    return new Set([...found].map(([, name = '']) => name))
  }
  return { libraries, env: { LOADED_MODULES: file }, nodeArgs: ['--import', recorder] }
}

function config(text: string): string {
  const file = join(folder, `${Math.random()}.yaml`)
  writeFileSync(file, text)
  return file
}

async function loadedBy(...args: string[]): Promise<Set<string>> {
  const { libraries, env, nodeArgs } = recording()
  const { exitCode, stderr } = await runProgram(args, env, { nodeArgs })
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  return libraries()
}

const server = 'authorization_servers: { sso: { issuer: "http://127.0.0.1:9", access_tokens: { audience: a } } }'
const redis = `token_cache: { redis: { url: "redis://127.0.0.1:9", encryption_keys: ["\${env:KEY}"] } }`
const admin = 'admin: { address: "127.0.0.1:0" }'
const open = 'public: true'
const routed = (admission: string, more = '') => `
listeners: { main: { address: "127.0.0.1:0" } }
${more}
routes: [{ path: /a, ${admission}, upstream: "http://127.0.0.1:9" }]
`

/** Those that not every gateway needs. */
const perhaps = ['@opentelemetry/api', 'express', 'ioredis']

describe('a command loads what it needs', () => {
  it('and the version is told by the command line alone', async () => {
    expect([...(await loadedBy('--version'))]).toEqual(['commander'])
  })

  it('so that report, too, goes without the gateway', async () => {
    const log = join(folder, 'log')
    writeFileSync(log, '{"msg":"ready"}\n')
    expect([...(await loadedBy('report', log))]).toEqual(['commander'])
  })

  it('so that check loads nothing that serves, asks or forwards', async () => {
    const loaded = await loadedBy('check', '--config', config(routed('require: any_token', `${server}\n${admin}`)))
    expect(loaded).toContain('zod')
    expect([...perhaps, 'prom-client', 'http-proxy-middleware'].filter((name) => loaded.has(name))).toEqual([])
  })
})

describe('scopegate serve loads', () => {
  function serve(text: string) {
    const { libraries, env, nodeArgs } = recording()
    const key = Buffer.alloc(32, 7).toString('base64url')
    const program = startProgram(['serve', '--config', config(text)], { ...env, KEY: key }, { nodeArgs })
    onTestFinished(async () => {
      program.child.kill('SIGKILL')
      await program.ended
    })
    return { program, libraries, found: () => perhaps.filter((name) => libraries().has(name)) }
  }

  it('nothing that its configuration does not ask for', async () => {
    const { program, found } = serve(routed(open))
    await program.line({ msg: 'ready' })
    expect(found()).toEqual([])
  })

  it('what the first WebSocket wants once it is ready, and before anybody asks for one', async () => {
    const { program, libraries } = serve(routed(open))
    await program.line({ msg: 'ready' })
    expect(libraries()).not.toContain('http-proxy-middleware')
    await vi.waitFor(() => expect(libraries()).toContain('http-proxy-middleware'), { timeout: 10_000 })
  })

  it.each([
    ['what Redis wants, if there is one', open, redis, ['ioredis']],
    ['what the admin listener wants, if there is one', open, admin, ['@opentelemetry/api', 'express']],
  ])('%s', async (_name, admission, more, libraries) => {
    const { program, found } = serve(routed(admission, more))
    await program.line({ msg: 'ready' })
    await vi.waitFor(() => expect(found()).toEqual(libraries))
  })
})
