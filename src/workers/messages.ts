import type { AddressInfo } from 'node:net'
import type { MetricSnapshot } from '../admin/metrics.ts'
import type { ConfigText } from '../config/load.ts'
import type { TokenQuestion } from '../egress/token-cache/primary-tokens.ts'

/** What a worker is to do. All get the same texts: the files may have been changed when a worker is started again. */
export interface Task {
  /** What the configuration was read from, itself first. */
  readonly texts: readonly ConfigText[]
  /** The secret of the token cache. */
  readonly secret: string
  /** Which one of how many it is, from 1. */
  readonly worker: number
  readonly workers: number
}

/** What a worker asks and tells its primary. */
export type WorkerQuestion =
  | { readonly kind: 'task' }
  | { readonly kind: 'tokens'; readonly question: TokenQuestion }
  | { readonly kind: 'serving'; readonly addresses: ReadonlyMap<string, AddressInfo> }
  /** It cannot serve, and ends. */
  | { readonly kind: 'failed'; readonly message: string }
  /** It takes nothing more, and lets finish what is in flight. */
  | { readonly kind: 'leaving' }
  | { readonly kind: 'left'; readonly cutOff: number; readonly metrics: MetricSnapshot }

/** What a primary asks and tells a worker. */
export type PrimaryQuestion = { readonly kind: 'metrics' } | { readonly kind: 'stop' }
