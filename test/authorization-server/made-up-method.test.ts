import { execFile } from 'node:child_process'
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { answerWith } from '../harness/authorization-server.ts'
import { recordOutput } from '../harness/logs.ts'
import { createSecret, registerSecret } from '../harness/secrets.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

const root = join(import.meta.dirname, '../..')
const magicWord = createSecret()

const madeUpMethod = `
import { secret } from '../../base/scalars.ts'
import { defineClientAuthMethod } from './define.ts'

export const madeUp = defineClientAuthMethod({
  name: 'made_up',
  summary: 'a magic word in a header',
  options: { magic_word: secret().describe('the magic word') },
  create: ({ magic_word: magicWord }) => ({
    identify: () => magicWord.recent(),
    authenticate: (_server, client, body, headers) => {
      body.set('client_id', client.client_id)
      headers.set('x-magic-word', magicWord.read())
    },
  }),
})
`

/** A gateway in a process of its own, through which one request goes. */
const oneRequest = `
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createGateway, loadConfig } from './src/index.ts'

const gateway = createGateway(loadConfig(process.argv[2]))
const server = createServer(gateway.handler).listen(0, '127.0.0.1')
await once(server, 'listening')
const answer = await fetch(\`http://127.0.0.1:\${server.address().port}/partner\`)
console.log(answer.status)
server.close()
await gateway.close()
`

let folder: string
let tokenServer: Upstream
let upstream: Upstream

beforeAll(async () => {
  mkdirSync(join(root, '.tmp'), { recursive: true })
  folder = mkdtempSync(join(root, '.tmp/made-up-method-'))
  cpSync(join(root, 'src'), join(folder, 'src'), { recursive: true })
  cpSync(join(root, 'package.json'), join(folder, 'package.json'))
  const methods = join(folder, 'src/authorization-server/client-auth')
  writeFileSync(join(methods, 'made-up.ts'), madeUpMethod)
  const registry = join(methods, 'index.ts')
  const text = readFileSync(registry, 'utf8')
  const registered = text.replace('] as const', '  madeUp,\n] as const')
  if (registered === text) throw new Error('the registry does not look as it did')
  writeFileSync(registry, registered)
  appendFileSync(registry, "import { madeUp } from './made-up.ts'\n")
  writeFileSync(join(folder, 'one-request.ts'), oneRequest)
  tokenServer = await startUpstream(
    answerWith(200, { access_token: registerSecret('made-up-token'), token_type: 'Bearer' }),
  )
  upstream = await startUpstream()
})
afterAll(async () => {
  rmSync(folder, { recursive: true })
  await Promise.all([tokenServer.stop(), upstream.stop()])
})

/** Runs a program of the copy. Everything it prints is looked through for secrets. */
function run(...args: string[]): Promise<{ readonly failed: boolean; readonly output: string }> {
  return new Promise((resolve) =>
    execFile(process.execPath, args, { cwd: folder, env: { MAGIC_WORD: magicWord } }, (error, stdout, stderr) => {
      resolve({ failed: error !== null, output: recordOutput(stdout + stderr) })
    }),
  )
}

const check = (file: string) => run('src/cli/main.ts', 'check', '--config', file)

function writeConfig(name: string, clientKeys: string): string {
  const file = join(folder, name)
  const yaml = `
authorization_servers: { sso: { token_endpoint: "${tokenServer.url}/token" } }
clients:
  wizard:
    authorization_server: sso
    client_id: wizard
    token_endpoint_auth_method: made_up
${clientKeys}
routes:
  - { path: /partner, callers: { networks: [loopback] }, token: { client: wizard }, upstream: "${upstream.url}" }
`
  writeFileSync(file, yaml)
  return file
}

// The three of them need a process each: they run beside one another.
it.concurrent('a new client authentication method is one file and its entry in the registry: check knows its keys', async () => {
  const good = await check(writeConfig('good.yaml', '    magic_word: ${env:MAGIC_WORD}'))
  expect(good).toMatchObject({ failed: false })
  const misspelt = await check(writeConfig('misspelt.yaml', '    magic_wrd: ${env:MAGIC_WORD}'))
  expect(misspelt.failed).toBe(true)
  expect(misspelt.output).toMatch(/misspelt\.yaml:8:5: .*magic_wrd.*magic_word/)
  const foreign = await check(
    writeConfig('foreign.yaml', '    magic_word: ${env:MAGIC_WORD}\n    client_secret: ${env:MAGIC_WORD}'),
  )
  expect(foreign.failed).toBe(true)
  expect(foreign.output).toMatch(/foreign\.yaml:9:5: .*client_secret/)
})

it.concurrent('the JSON schema for editors knows it', async () => {
  const { output } = await run('src/cli/main.ts', 'schema')
  expect(JSON.parse(output)).toBeTypeOf('object')
  expect(output).toContain('"made_up"')
  expect(output).toContain('"magic_word"')
})

it.concurrent('and a token request uses it', async () => {
  const { output } = await run('one-request.ts', writeConfig('used.yaml', '    magic_word: ${env:MAGIC_WORD}'))
  expect(output).toMatch(/^200$/m)
  expect(tokenServer.requests).toHaveLength(1)
  expect(tokenServer.requests[0]?.headers['x-magic-word']).toBe(magicWord)
  expect(tokenServer.requests[0]?.body().toString()).toBe('grant_type=client_credentials&client_id=wizard')
  expect(upstream.requests[0]?.headers.authorization).toBe('Bearer made-up-token')
})
