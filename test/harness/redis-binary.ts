import { execFile } from 'node:child_process'
import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Where Redis's programs are, and the environment that they need. */
export interface RedisBinary {
  readonly server: string
  readonly cli: string
  readonly env: NodeJS.ProcessEnv
}

const cache = fileURLToPath(new URL('../../node_modules/.cache/scopegate-redis', import.meta.url))
const packages = ['redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1', 'libatomic1']

let found: Promise<RedisBinary> | undefined

/**
 * A real Redis: `$REDIS_SERVER_BIN`, or `redis-server` or `valkey-server` on the PATH, or a private copy of Debian's
 * packages, fetched once. Rejects with what to do if there is none: tests on Redis are never skipped in silence.
 */
export function findRedis(): Promise<RedisBinary> {
  found ??= configured().then(async (server) => server ?? (await onPath()) ?? (await privateCopy()))
  return found
}

async function configured(): Promise<RedisBinary | undefined> {
  const server = process.env.REDIS_SERVER_BIN
  if (!server) return undefined
  if (!(await exists(server))) throw new Error(`REDIS_SERVER_BIN is ${server}, and there is no such program`)
  return { server, cli: await cliBeside(server), env: process.env }
}

async function onPath(): Promise<RedisBinary | undefined> {
  for (const name of ['redis-server', 'valkey-server']) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      const server = join(folder, name)
      if (await exists(server)) return { server, cli: await cliBeside(server), env: process.env }
    }
  }
  return undefined
}

async function cliBeside(server: string): Promise<string> {
  for (const name of ['redis-cli', 'valkey-cli']) {
    const cli = join(dirname(server), name)
    if (await exists(cli)) return cli
  }
  return 'redis-cli'
}

/** A copy is put together aside and moved to its place whole, so that workers that race for it do not disturb each other. */
async function privateCopy(): Promise<RedisBinary> {
  const place = join(cache, 'copy')
  if (!(await exists(place))) {
    await mkdir(cache, { recursive: true })
    const aside = await mkdtemp(join(cache, 'fetch-'))
    try {
      await fetchPackages(aside)
      await rename(join(aside, 'copy'), place).catch(async (error: unknown) => {
        if (!(await exists(place))) throw error
      })
    } catch (error) {
      throw new Error(
        "The tests need a real Redis. Set REDIS_SERVER_BIN to a redis-server, or install one, or let apt-get reach Debian's mirrors.",
        { cause: error },
      )
    } finally {
      await rm(aside, { recursive: true, force: true })
    }
  }
  return copyIn(place)
}

async function copyIn(place: string): Promise<RedisBinary> {
  const libraries = join(place, 'usr/lib')
  const folders = (await readdir(libraries, { withFileTypes: true })).filter((entry) => entry.isDirectory())
  const path = folders.map(({ name }) => join(libraries, name)).join(':')
  const server = join(place, 'usr/bin/redis-server')
  return { server, cli: join(place, 'usr/bin/redis-cli'), env: { ...process.env, LD_LIBRARY_PATH: path } }
}

async function fetchPackages(folder: string): Promise<void> {
  const options = [
    `Dir::State=${folder}/state`,
    'Dir::State::status=/var/lib/dpkg/status',
    `Dir::Cache=${folder}/cache`,
    'APT::Sandbox::User=',
    'Debug::NoLocking=1',
    'Acquire::Languages=none',
  ].flatMap((option) => ['-o', option])
  for (const name of ['state/lists/partial', 'cache/archives/partial', 'debs', 'copy'])
    await mkdir(join(folder, name), { recursive: true })
  await run('apt-get', [...options, 'update'])
  await run('apt-get', [...options, 'download', ...packages], { cwd: join(folder, 'debs') })
  for (const file of await readdir(join(folder, 'debs')))
    await run('dpkg', ['-x', join(folder, 'debs', file), join(folder, 'copy')])
  const copy = await copyIn(join(folder, 'copy'))
  await run(copy.server, ['--version'], { env: copy.env })
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
