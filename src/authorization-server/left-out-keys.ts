import type { Log } from '../base/log.ts'
import type { LeftOutKey, PublicKeyList } from './public-key-list.ts'

const mostTold = 10

/** Tells the log which keys of a set are left out, and why, once for each change of them; never anything of a key itself. */
export function createKeyTeller(server: string, log: Log | undefined): (list: PublicKeyList) => void {
  let last = ''
  return ({ keys, leftOut }) => {
    const told = leftOut.filter(({ forOthers }) => !forOthers || keys.length === 0)
    const reasons = told.map(describe).sort()
    if (keys.length === 0) reasons.unshift('no key is left that can verify signatures')
    const now = JSON.stringify(reasons)
    if (now === last) return
    last = now
    if (reasons.length === 0) return
    const fields = { authorization_server: server, reasons: reasons.slice(0, mostTold), left_out: told.length }
    // What its owner alone should have, everybody has: until it is replaced, somebody else may be using it elsewhere.
    if (told.some(({ secret }) => secret)) log?.error(fields, 'a secret key lies open in the key set')
    else log?.warn(fields, 'keys left out')
  }
}

/** Its server picks the kid: it is shown in printable ASCII, and not without end. */
function describe({ kid, position, fault }: LeftOutKey): string {
  const name = kid === undefined ? `${position}` : JSON.stringify(kid.slice(0, 100)).replace(/[^\x20-\x7e]/g, '?')
  return `key ${name} ${fault}`
}
