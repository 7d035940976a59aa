import { Networks } from './network.ts'

const loopback = new Networks(['loopback'])

/** True if a URL is reached without TLS, and not on this machine alone: what is sent there can be read on the way. */
export function isPlainHttp(url: string): boolean {
  const { protocol, hostname } = new URL(url)
  if (protocol === 'https:') return false
  return hostname !== 'localhost' && !loopback.includes(hostname.replace(/^\[|\]$/g, ''))
}
