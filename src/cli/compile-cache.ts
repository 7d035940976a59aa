import { existsSync, lstatSync, mkdirSync, realpathSync } from 'node:fs'
import { enableCompileCache, getCompileCacheDir } from 'node:module'
import { homedir } from 'node:os'
import { basename, dirname, isAbsolute, join } from 'node:path'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Lets Node keep what it compiles, so that the next start is shorter: in the user's cache folder, unless
 * NODE_COMPILE_CACHE names another one or NODE_DISABLE_COMPILE_CACHE forbids it. Written when the process ends. Never
 * fails: where no folder is safe, nothing is kept.
 */
export function keepCompiledCode(env: Environment = process.env): void {
  if (getCompileCacheDir() !== undefined || env.NODE_DISABLE_COMPILE_CACHE) return
  const folder = compileCacheFolder(env, process.geteuid?.())
  if (folder !== undefined) enableCompileCache(folder)
}

/**
 * The folder that compiled code may be read from, made if need be; `undefined` if there is none. What lies there runs as
 * this user, and Node takes it for what it compiled from the sources: whoever could write there would plant code. So it is
 * not under the folder for temporary files, which is Node's own choice and where anybody can be first.
 * @see https://specifications.freedesktop.org/basedir-spec/latest/
 */
export function compileCacheFolder({ XDG_CACHE_HOME: base = '' }: Environment, user?: number): string | undefined {
  // Where the system does not say whose a folder is, it cannot be told who may write there.
  if (user === undefined) return undefined
  try {
    const folder = ownFolder(join(isAbsolute(base) ? base : join(homedir(), '.cache'), 'scopegate'), user)
    return (lstatSync(folder).mode & 0o077) === 0 ? folder : undefined
  } catch {
    return undefined
  }
}

/**
 * Where the folder really is, made if need be, but not in another user's folder: with their HOME, as under sudo, nothing is
 * left there that is not theirs.
 * @throws {Error} if somebody else can put another one in its place
 */
function ownFolder(path: string, user: number): string {
  // Fails if somebody is faster, who would own it.
  if (!existsSync(path)) mkdirSync(join(ownFolder(dirname(path), user), basename(path)), { mode: 0o700 })
  const real = realpathSync(path)
  if (!isOutOfReach(real, user)) throw new Error(`others can write to ${real}, or to what it is in`)
  return real
}

/**
 * True if nobody but the user and root can put something else in the place of this folder: whoever may write in a folder
 * above it could do so after we have looked. In a sticky one everybody can only move what is theirs.
 */
function isOutOfReach(folder: string, user: number): boolean {
  const { uid, mode } = lstatSync(folder)
  const own = uid === user || uid === 0
  const closed = (mode & 0o022) === 0 || (mode & 0o1000) !== 0
  return own && closed && (dirname(folder) === folder || isOutOfReach(dirname(folder), user))
}
