import AggregatorRegistry from 'prom-client/lib/cluster.js'
import Counter from 'prom-client/lib/counter.js'
import Gauge from 'prom-client/lib/gauge.js'
import Registry from 'prom-client/lib/registry.js'
import type { MetricSnapshot } from './metrics.ts'

/** What several processes have counted, as one text for Prometheus; of the first one is when it began. */
export function sumMetrics(snapshots: readonly MetricSnapshot[]): Promise<string> {
  const [first = [], ...others] = snapshots
  return AggregatorRegistry.aggregate([first.map(keepAsFirst), ...others]).metrics()
}

/** The library leaves out what is no sum. */
function keepAsFirst(metric: MetricSnapshot[number]): MetricSnapshot[number] {
  return metric.aggregator === 'omit' ? { ...metric, aggregator: 'first' } : metric
}

/**
 * What a process that has ended leaves behind: what it counted stays in the sum, which would go down without it, and be taken
 * by Prometheus for a new beginning. What it had at a moment is gone.
 */
export function withEnded(ended: MetricSnapshot, last: MetricSnapshot): Promise<MetricSnapshot> {
  const counted = last.filter(({ type }) => isCounted(String(type)))
  return AggregatorRegistry.aggregate([ended, counted]).getMetricsAsJSON()
}

function isCounted(type: string): boolean {
  return type === 'counter' || type === 'histogram'
}

/** The counters of a primary process. */
export interface WorkerMetrics {
  countEnd(): void
  snapshot(): Promise<MetricSnapshot>
}

export function createWorkerMetrics(serving: () => number): WorkerMetrics {
  const registers = [new Registry()]
  const ends = new Counter({
    name: 'scopegate_workers_ended_total',
    help: 'Workers that ended by themselves.',
    registers,
  })
  new Gauge({
    name: 'scopegate_workers',
    help: 'Workers that take requests.',
    registers,
    collect() {
      this.set(serving())
    },
  })
  return { countEnd: () => ends.inc(), snapshot: async () => (await registers[0]?.getMetricsAsJSON()) ?? [] }
}
