import { lookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { isLoopbackName, Networks } from '../base/network.ts'

/**
 * This machine itself, and what only its own link can reach; the addresses at which clouds give out credentials, those
 * beyond the link among them; and IPv6 forms in which translators find such an IPv4 address (RFC 4291 section 2.5.5.1, RFC 6052).
 */
const inside = new Networks([
  ...['loopback', '0.0.0.0/8', '169.254.0.0/16', 'fe80::/10'],
  ...['fd00:ec2::/32', 'fd20:ce::/32', '100.100.100.200/32', '168.63.129.16/32'],
  ...['::/96', '64:ff9b::7f00:0/104', '64:ff9b::a9fe:0/112'],
])

/**
 * Looks up names that the configuration takes for another machine's. The attack: whoever has a say in such a name points it
 * to 127.0.0.1, and has the gateway call what listens there for nobody else (DNS rebinding). A name that says by itself
 * that it is this machine's is taken at its word.
 */
export function createGuardedLookup(resolve: LookupFunction = lookup as LookupFunction): LookupFunction {
  return (name, options, done) => {
    if (isLoopbackName(name)) return resolve(name, options, done)
    resolve(name, options, (error, found, family) => {
      const addresses = Array.isArray(found) ? found.map(({ address }) => address) : [found]
      const isInside = !error && addresses.some((address) => inside.includes(address))
      done(isInside ? Object.assign(new Error('leads to this machine'), { code: 'ELEADSHERE' }) : error, found, family)
    })
  }
}
