import { BlockList, isIP, isIPv4 } from 'node:net'
import { remember } from './remember.ts'

/** Names for networks that everybody means the same by. */
const named: Record<string, readonly string[]> = {
  loopback: ['127.0.0.0/8', '::1/128'],
}

/** True for `loopback`, an address (`10.0.0.1`, `::1`) or a CIDR block (`10.0.0.0/8`, `fd00::/8`). */
export function isNetwork(text: string): boolean {
  if (Object.hasOwn(named, text)) return true
  const [address, prefix, ...rest] = text.split('/')
  const family = isIP(address ?? '')
  if (family === 0 || rest.length > 0) return false
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128))
}

/** A set of networks, asked by address. IPv4 addresses in their IPv6-mapped form (`::ffff:10.0.0.1`) count as IPv4. */
export class Networks {
  readonly #list = new BlockList()
  // The same few addresses come again and again; there may be as many sets of networks as there are routes.
  readonly #judge = remember((address) => this.#holds(address), { most: 16 })
  /** True if no address is in it. */
  readonly isEmpty: boolean

  constructor(networks: readonly string[]) {
    this.isEmpty = networks.length === 0
    for (const network of networks.flatMap((text) => named[text] ?? [text])) {
      const [address = '', prefix] = network.split('/')
      const family = isIPv4(address) ? 'ipv4' : 'ipv6'
      this.#list.addSubnet(address, Number(prefix ?? (family === 'ipv4' ? 32 : 128)), family)
    }
  }

  /** False for what is no address. */
  includes(address: string): boolean {
    return this.#judge(address)
  }

  #holds(address: string): boolean {
    const plain = plainAddress(address)
    const family = isIP(plain)
    return family !== 0 && this.#list.check(plain, family === 4 ? 'ipv4' : 'ipv6')
  }
}

const loopback = new Networks(['loopback'])

/**
 * True for a host, as a URL has it, that is this machine itself by name or address: nobody's DNS can give it to another.
 * @see https://www.rfc-editor.org/rfc/rfc6761#section-6.3
 */
export function isLoopbackName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || loopback.includes(host.replace(/^\[|\]$/g, ''))
}

/** Addresses all over the internet, of each family. */
const everywhere: readonly (readonly string[])[] = [
  [1, 23, 45, 66, 81, 99, 118, 130, 145, 163, 181, 195, 212].map((octet) => `${octet}.203.17.9`),
  ['2001:4860::9', '2400:cb00::9', '2600:9000::9', '2804:14c::9', '2a00:1450::9', '2c0f:fb50::9'],
]

/**
 * True for networks that whoever calls is in, over one of the address families at least. Told by what they include: there
 * are many ways to write it (`0.0.0.0/0`, `::ffff:0:0/96`, `0.0.0.0/1` beside `128.0.0.0/1`).
 */
export function isEverybody(networks: readonly string[]): boolean {
  const all = new Networks(networks)
  return !all.isEmpty && everywhere.some((addresses) => addresses.every((address) => all.includes(address)))
}

const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

/** The address without its IPv6 mapping and zone. */
export function plainAddress(address: string): string {
  if (!address.includes(':') && !address.includes('%')) return address
  return mapped.exec(address)?.[1] ?? address.split('%', 1)[0] ?? address
}
