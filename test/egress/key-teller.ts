import { json } from 'node:stream/consumers'
import { type KeyWish, keysOf } from './wished-keys.ts'

/** A process of its own that tells the cache keys of the token requests that it reads. */
const { wishes, encryptionKeys } = (await json(process.stdin)) as { wishes: KeyWish[]; encryptionKeys: string[] }
process.stdout.write(JSON.stringify(await keysOf(wishes, encryptionKeys)))
