import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { compileCacheFolder } from '../../src/cli/compile-cache.ts'
import { runProgram } from '../harness/process.ts'

let base: string
let folder: string

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'scopegate-cache-'))
  folder = join(base, 'scopegate')
})
afterEach(() => rmSync(base, { recursive: true }))

const self = process.geteuid?.() ?? 0
const chosen = (user = self) => compileCacheFolder({ XDG_CACHE_HOME: base }, user)

function makeFolder(path: string, mode: number): void {
  mkdirSync(path)
  chmodSync(path, mode)
}

/** Now the folder is another user's than the one that this gives back: only root can really give it away. */
function giveAway(path: string): number {
  if (self === 0) chownSync(path, 4711, 4711)
  return self === 0 ? self : self + 1
}

function filesIn(path: string): string[] {
  return existsSync(path) ? readdirSync(path, { recursive: true }).map(String) : []
}

describe('what Node compiled', () => {
  const start = (env: Record<string, string> = {}) => runProgram(['--version'], { XDG_CACHE_HOME: base, ...env })

  it('is kept for the next start, where nobody else can write', async () => {
    await start()
    expect(lstatSync(folder).mode & 0o777).toBe(0o700)
    expect(filesIn(folder).length).toBeGreaterThan(5)
    const { stderr } = await start({ NODE_DEBUG_NATIVE: 'COMPILE_CACHE' })
    expect(stderr).toMatch(/V8 code cache for \w+ \S+commander\S+ was accepted/)
  })

  it('is not kept where a file is in the way, and the program starts all the same', async () => {
    writeFileSync(folder, '')
    const { exitCode, stderr } = await start()
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(lstatSync(folder).size).toBe(0)
  })

  it('is neither read nor kept in a folder that others can write to', async () => {
    makeFolder(folder, 0o777)
    const { exitCode, stderr } = await start()
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(filesIn(folder)).toEqual([])
  })

  it('is kept where NODE_COMPILE_CACHE says', async () => {
    const other = join(base, 'other')
    await start({ NODE_COMPILE_CACHE: other })
    expect([filesIn(other).length > 5, existsSync(folder)]).toEqual([true, false])
  })

  it('is not kept if NODE_DISABLE_COMPILE_CACHE says so', async () => {
    await start({ NODE_DISABLE_COMPILE_CACHE: '1' })
    expect(existsSync(folder)).toBe(false)
  })
})

describe('whoever can write compiled code can run code as its reader: it is not taken', () => {
  it('from a folder that a group can write to, or look into', () => {
    for (const mode of [0o770, 0o720, 0o702, 0o750]) {
      makeFolder(folder, mode)
      expect([mode, chosen()]).toEqual([mode, undefined])
      rmSync(folder, { recursive: true })
    }
    makeFolder(folder, 0o700)
    expect(chosen()).toBe(folder)
  })

  it('from a folder that somebody else can put another one in the place of', () => {
    makeFolder(folder, 0o700)
    chmodSync(base, 0o777)
    expect(chosen()).toBeUndefined()
    chmodSync(base, 0o1777)
    expect(chosen()).toBe(folder)
  })

  it('from the folder that a link leads to, unless that one is as safe', () => {
    const real = join(base, 'real')
    makeFolder(real, 0o777)
    symlinkSync(real, folder)
    expect(chosen()).toBeUndefined()
    chmodSync(real, 0o700)
    expect(chosen()).toBe(real)
  })

  it("from another user's folder, and nothing is left in theirs", () => {
    const user = giveAway(base)
    expect(chosen(user)).toBeUndefined()
    expect(readdirSync(base)).toEqual([])
  })

  it('from a folder that another user was first to make where everybody can', () => {
    chmodSync(base, 0o1777)
    makeFolder(folder, 0o700)
    expect(chosen(giveAway(folder))).toBeUndefined()
  })

  it('where nobody can tell whose a folder is', () => {
    expect(compileCacheFolder({ XDG_CACHE_HOME: base })).toBeUndefined()
    expect(readdirSync(base)).toEqual([])
  })
})
