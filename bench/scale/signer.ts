/** A worker of `first-sight.ts`: signs so many tokens from a number on, and hands them over. */
import { createPrivateKey } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { signToken } from './tokens.ts'

const { key, from, count } = workerData as { readonly key: string; readonly from: number; readonly count: number }
const signer = { alg: 'RS256', kid: 'RS256', privateKey: createPrivateKey(key) } as const
parentPort?.postMessage(Array.from({ length: count }, (_, index) => signToken(signer, from + index)))
