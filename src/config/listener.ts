import { isIP } from 'node:net'
import { z } from 'zod'
import { duration, flag, httpUrl, integer, judgedText, listOf, network, parsedText, size } from '../base/scalars.ts'
import { listenerTlsOptions } from '../ingress/listener-tls.ts'
import { type Authority, readAuthority } from '../routes/host.ts'

/** Where a listener accepts connections. Port 0 picks a free one. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** Parses `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`. */
function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  const [, ipv6, name, port] = match ?? []
  if (!match || Number(port) > 65_535 || (ipv6 !== undefined && isIP(ipv6) !== 6)) return undefined
  return { host: ipv6 ?? name ?? '', port: Number(port) }
}

const address = () => parsedText<Address>('host:port, such as 127.0.0.1:8080 or [::1]:8080', parseAddress)

/** Every address of this machine, to whoever connects to it; as a URL has it, the IPv6-mapped form among them. */
export const everyAddress: readonly string[] = ['0.0.0.0', '[::]', '[::ffff:0:0]']

const passedExample = 'one host such as intranet.example or intranet.example:8080, without scheme and path'

const parsePassedHost = (given: string) => {
  const authority = readAuthority(given, 80)
  // `127.1` and `0` are names here, and addresses to whoever connects.
  const isPlain = authority && URL.parse(`http://${authority.host}`)?.hostname === authority.host
  return isPlain && !everyAddress.includes(authority.host) ? authority : undefined
}

function passedHostFault(given: string): string | undefined {
  // The value is not repeated: it may hold a password.
  if (given.includes('@')) return `must be ${passedExample}`
  if (given.includes('*')) return `is "${given}", and a pattern would let callers choose where to: name each host`
  return parsePassedHost(given) ? undefined : `is "${given}", and must be ${passedExample}`
}

const passedHost = () =>
  judgedText(passedExample, passedHostFault).transform((given): Authority => parsePassedHost(given) ?? z.NEVER)

const forwardProxyBlock = z.strictObject({
  pass_through: listOf(passedHost())
    .optional()
    .describe('hosts that requests go on to as they are, over http and without a token; port 80 unless given'),
})

/** `true` is a block of defaults. */
const forwardProxyOptions = z.union([
  forwardProxyBlock,
  flag().transform((on) => (on ? forwardProxyBlock.parse({}) : undefined)),
])

/** One listener: where the gateway takes requests, and what it takes. */
export const listenerOptions = z.strictObject({
  address: address().prefault('127.0.0.1:8080').describe('host:port; port 0 picks a free one'),
  public_url: httpUrl('https://api.example.com')
    .optional()
    .describe('how callers see this listener; never taken from Host'),
  forward_proxy: forwardProxyOptions
    .optional()
    .describe(
      'true or a map: takes requests for whole URLs too (http_proxy), and sends them on by the routes of their host',
    ),
  allow_http: flag().optional().describe('true: a forward proxy without tls may be reached from beyond this machine'),
  tls: listenerTlsOptions.optional().describe('with it the listener speaks TLS, 1.2 at least; default plain HTTP'),
  trusted_proxies: listOf(network()).optional().describe("networks whose X-Forwarded-* are believed; default nobody's"),
  timeouts: z
    .strictObject({
      headers: duration().prefault('10s').describe('until the headers of a request are complete'),
      body_idle: duration().prefault('60s').describe('silence between two pieces of a request body'),
      keep_alive: duration().prefault('65s').describe('how long an idle connection is kept'),
    })
    .prefault({}),
  limits: z
    .strictObject({
      header_size: size('1MiB')
        .prefault('16KiB')
        .describe('all headers of a request together, and whatever its target leaves of target_length'),
      headers: integer(1, 2000).prefault(100).describe('number of header lines of a request'),
      target_length: size('1MiB').prefault('8KiB').describe('path and query of a request'),
      body_size: size('1024GiB').optional().describe('the body of a request; default no limit'),
      connections: integer(1, 1_000_000).prefault(10_000).describe('open connections'),
    })
    .prefault({}),
})

export type ListenerOptions = z.output<typeof listenerOptions>

/** The listener of whoever runs the process. */
export const adminOptions = z.strictObject({ address: address().describe('/healthz, /readyz and /metrics') })

/** The listener of a route that names none: the only one that there is. */
export function defaultListener(listeners: unknown): string {
  return Object.keys(Object(listeners))[0] ?? 'main'
}
