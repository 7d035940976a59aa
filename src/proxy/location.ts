/**
 * What becomes of a URL in an answer, where callers know the upstream as `callerUrl`: the upstream's own origin, and the
 * path that the gateway puts before theirs, are turned back into what the caller used. Any other URL stays as it is, and so
 * does a relative one, of which nobody can tell whether the upstream knows where it stands. Where `callerUrl` is empty, the path alone is given.
 */
export type Relocation = (location: string, callerUrl: string) => string

export interface RelocationOptions {
  readonly url: URL
  /** What the gateway puts before a path, and what it drops from it before. */
  readonly base: string
  readonly prefix: string
}

const defaultPorts: Record<string, string> = { 'http:': '80', 'https:': '443' }

/** Makes the relocation of one upstream, once for all its answers. @see https://www.rfc-editor.org/rfc/rfc9110#section-10.2.2 */
export function createRelocation({ url, base, prefix }: RelocationOptions): Relocation {
  const hosts = url.port === '' ? [url.host, `${url.host}:${defaultPorts[url.protocol]}`] : [url.host]
  const origins = hosts.flatMap((host) => [`${url.protocol}//${host}`, `//${host}`])
  return (location, callerUrl) => {
    const own = origins.find((origin) => beginsWith(location, origin))
    if (own === undefined) return location
    const rest = location.slice(own.length)
    const isMine = rest.startsWith(base) && endsPart(rest, base.length)
    if (!isMine) return location
    const path = `${prefix}${rest.slice(base.length)}`
    return callerUrl === '' ? pathAlone(path) : `${callerUrl}${path}`
  }
}

/** Browsers take what begins with two slashes for another host, backslashes count, and tabs between them do not. */
function pathAlone(path: string): string {
  return `/${path.replace(/^[/\\\s]+/, '')}`
}

/** `https://api.example.com.evil.example` and `https://api.example.com@evil.example` begin with an origin, and are others. */
function beginsWith(location: string, origin: string): boolean {
  return location.slice(0, origin.length).toLowerCase() === origin && endsPart(location, origin.length)
}

/** True if nothing that belongs to the same host, or the same segment, follows. */
function endsPart(text: string, at: number): boolean {
  return at >= text.length || '/?#'.includes(text.charAt(at))
}
