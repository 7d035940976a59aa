import { parseHostPattern } from './host.ts'

/** True for a host, as `readHost` gives it, that one of the patterns names. `*.example.com` is every host below it. */
export function createHostMatcher(patterns: readonly string[]): (host: string) => boolean {
  const hosts = patterns.map(canonicalPattern)
  return (host) => hosts.some((each) => (each.startsWith('*.') ? host.endsWith(each.slice(1)) : host === each))
}

/** One spelling for patterns that name the same hosts. */
export function canonicalPattern(pattern: string): string {
  const parsed = parseHostPattern(pattern)
  if ('host' in parsed) return parsed.host
  throw new TypeError(`the host ${pattern} ${parsed.fault}`)
}
