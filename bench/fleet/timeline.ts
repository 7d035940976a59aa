import type { Issued } from '../token-endpoint.ts'
import type { Asked } from './load.ts'

/** Milliseconds below which so large a part of the values lies. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN
}

const headings = ['second', 'requests', 'failed', 'p50 ms', 'p99 ms', 'token requests', 'Redis scripts']

export interface Timeline {
  readonly startedAt: number
  readonly asked: readonly Asked[]
  readonly issued: readonly Issued[]
  /** How many scripts Redis had run by then. */
  readonly scripts: readonly { readonly at: number; readonly scripts: number }[]
}

/** What happened in each second in which anything did. */
export function formatTimeline({ startedAt, asked, issued, scripts }: Timeline): string {
  const second = (at: number) => Math.floor((at - startedAt) / 1000)
  const [asks, tokens] = [Map.groupBy(asked, ({ at }) => second(at)), Map.groupBy(issued, ({ at }) => second(at))]
  const run = Map.groupBy(scripts.slice(1), ({ at }) => second(at))
  const before = (at: number) => scripts[scripts.findIndex((look) => look.at === at) - 1]?.scripts ?? 0
  const seconds = [...new Set([...asks.keys(), ...tokens.keys()])].sort((one, other) => one - other)
  const rows = seconds.map((at) => {
    const latencies = (asks.get(at) ?? []).map(({ milliseconds }) => milliseconds)
    const failed = (asks.get(at) ?? []).filter(({ status }) => status !== 200).length
    const looks = (run.get(at) ?? []).reduce((sum, look) => sum + look.scripts - before(look.at), 0)
    const times = latencies.length > 0 ? [quantile(latencies, 0.5), quantile(latencies, 0.99)] : []
    const [p50 = '', p99 = ''] = times.map((time) => time.toFixed(1))
    return [at, latencies.length, failed, p50, p99, tokens.get(at)?.length ?? 0, looks].map(String)
  })
  const lines = [headings, headings.map(() => '---:'), ...rows]
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n')
}
