import type { RoutePattern } from '../../src/routes/pattern-owner.ts'

/** What some server does to a path before it looks for what to serve. */
type Habit = (path: string) => string

const eachSegment = (change: (segment: string) => string) => (path: string) => path.split('/').map(change).join('/')

/** A run of percent-encoded bytes, read by a decoder of its own. */
const decodeWith = (read: (bytes: Buffer) => string) => (path: string) =>
  path.replace(/(?:%[0-9a-f]{2})+/gi, (run) => read(Buffer.from(run.replaceAll('%', ''), 'hex')))

/** The ways to decode. Every server has one of them; some go over a path twice. */
const decodings: Record<string, Habit> = {
  decode: decodeWith((bytes) => bytes.toString('utf8')),
  decodeLatin1: decodeWith((bytes) => bytes.toString('latin1')),
  decodeOverlong: decodeWith(readOverlong),
  decodeAndDropBadBytes: decodeWith((bytes) => bytes.toString('utf8').replaceAll('\ufffd', '')),
}

const habits: Record<string, Habit> = {
  decodeFourDigits: (path) =>
    path.replace(/%u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  lower: (path) => path.toLowerCase(),
  upperAndLower: (path) => path.toUpperCase().toLowerCase(),
  asciiLower: (path) => path.replace(/[A-Z]/g, (letter) => letter.toLowerCase()),
  cutParameters: (path) => path.replace(/;[^/]*/g, ''),
  mergeSlashes: (path) => path.replace(/\/{2,}/g, '/'),
  cutFinalSlash: (path) => (path.length > 1 ? path.replace(/\/$/, '') : path),
  turnBackslashes: (path) => path.replaceAll('\\', '/'),
  cutDots: eachSegment((segment) => segment.replace(/[. ]+$/, '')),
  cutBlanks: eachSegment((segment) => segment.trim()),
  cutQuery: (path) => path.replace(/[?#].*$/s, ''),
  cutAtNul: (path) => path.replace(/\0.*$/s, ''),
  normalise: (path) => path.normalize('NFKC'),
  bestFit,
  resolveDots: (path) => resolveDots(path),
  parseUrl: (path) => (URL.canParse(path, 'http://gateway') ? new URL(path, 'http://gateway').pathname : path),
}

/** As Windows does on the way to a code page of 256 characters. */
function bestFit(path: string): string {
  return path
    .replace(/[\uff01-\uff5e]/g, (wide) => String.fromCharCode(wide.charCodeAt(0) - 0xfee0))
    .replace(/[\u2044\u2215]/g, '/')
    .replaceAll('\u2216', '\\')
}

/** As decoders do that never ask whether a shorter form exists. */
function readOverlong(bytes: Buffer): string {
  const text = bytes.toString('latin1')
  const forgiven = text
    .replace(/[\xc0\xc1][\x80-\xbf]/g, (pair) =>
      String.fromCharCode(((pair.charCodeAt(0) & 1) << 6) | (pair.charCodeAt(1) & 63)),
    )
    .replace(/\xe0[\x80\x81][\x80-\xbf]/g, (three) =>
      String.fromCharCode(((three.charCodeAt(1) & 1) << 6) | (three.charCodeAt(2) & 63)),
    )
  return Buffer.from(forgiven, 'latin1').toString('utf8')
}

function resolveDots(path: string): string {
  const kept: string[] = []
  for (const segment of path.split('/').slice(1)) {
    if (segment === '..') kept.pop()
    else if (segment !== '.') kept.push(segment)
  }
  return `/${kept.join('/')}`
}

/** A path that a server may end up with, and how it came to it. */
export interface ServedPath {
  readonly path: string
  readonly by: string
}

/**
 * Every path that a server may end up with which decodes at least once and has, in any order and before or after it, up
 * to three more of these habits, another decoding among them. The query is cut off first, as all do. Who takes each byte
 * for a character knows nothing of the forms that Unicode has for one.
 */
export function servedPaths(target: string): ServedPath[] {
  const known = new Map<string, { path: string; by: string; decoded: boolean }>()
  let latest = [{ path: target.replace(/\?.*$/s, ''), by: '', decoded: false }]
  for (let depth = 0; depth < 4; depth++) {
    const next: typeof latest = []
    for (const { path, by, decoded } of latest) {
      for (const [name, habit, decodes] of all) {
        if (by.includes('decodeLatin1') && (name === 'normalise' || name === 'bestFit')) continue
        const changed = { path: habit(path), by: `${by} ${name}`, decoded: decoded || decodes }
        const key = `${changed.decoded} ${changed.path}`
        if (known.has(key)) continue
        known.set(key, changed)
        next.push(changed)
      }
    }
    latest = next
  }
  return [...known.values()].filter(({ decoded }) => decoded)
}

const all = [
  ...Object.entries(decodings).map(([name, habit]) => [name, habit, true] as const),
  ...Object.entries(habits).map(([name, habit]) => [name, habit, false] as const),
]

/** Whose path it is, by trying every pattern: no trie, no code of the gateway's. */
export function ownerOf<Route extends RoutePattern>(path: string, routes: readonly Route[]): Route | undefined {
  const segments = path.slice(1).split('/')
  const rank = (route: Route) =>
    route.path
      .slice(1)
      .split('/')
      .map((part) => ({ '*': 1, '**': 2 })[part] ?? 0)
      .join('')
  const covers = ({ path: pattern }: Route) => {
    const parts = pattern.slice(1).split('/')
    const rest = parts.at(-1) === '**'
    const fixed = rest ? parts.slice(0, -1) : parts
    if (rest ? segments.length < fixed.length : segments.length !== fixed.length) return false
    return fixed.every((part, at) => (part === '*' ? segments[at] !== '' : part === segments[at]))
  }
  return routes.filter(covers).sort((one, other) => rank(one).localeCompare(rank(other)))[0]
}
