import type { Histogram as AnyHistogram, Registry } from 'prom-client'

export interface Histogram {
  /** Gives back what counts one value under these labels. Called once for each of them. */
  withLabels(labels: Readonly<Record<string, string>>): (value: number) => void
}

export interface HistogramOptions {
  readonly name: string
  readonly help: string
  /** Their upper bounds, rising. */
  readonly buckets: readonly number[]
}

/**
 * A histogram in a registry of the library, which it counts without. That puts the labels of each value together anew, and
 * takes longer for it than all else that is counted of a request.
 */
export function createHistogram(registry: Registry, { name, help, buckets }: HistogramOptions): Histogram {
  const all: Counts[] = []
  const get = async () => ({ name, help, type: 'histogram', aggregator: 'sum', values: all.flatMap(tell) })
  function tell({ labels, counts, sum }: Counts) {
    let count = 0
    const upTo = [...buckets, '+Inf'].map((le, index) => {
      count += counts[index] ?? 0
      return { labels: { le, ...labels }, value: count, metricName: `${name}_bucket` }
    })
    return [
      ...upTo,
      { labels, value: sum[0] ?? 0, metricName: `${name}_sum` },
      { labels, value: count, metricName: `${name}_count` },
    ]
  }
  // All that a registry asks of a metric.
  registry.registerMetric({ name, get } as unknown as AnyHistogram)
  return {
    withLabels(labels) {
      const counts = new Array<number>(buckets.length + 1).fill(0)
      // In memory of its own: as a member it would be a new object with each value.
      const sum = new Float64Array(1)
      all.push({ labels, counts, sum })
      return (value) => {
        let index = 0
        while (value > (buckets[index] ?? Number.POSITIVE_INFINITY)) index++
        counts[index] = (counts[index] ?? 0) + 1
        sum[0] = (sum[0] ?? 0) + value
      }
    },
  }
}

interface Counts {
  readonly labels: Readonly<Record<string, string>>
  /** How many values there were in each bucket alone, and beyond the last. */
  readonly counts: readonly number[]
  readonly sum: Float64Array
}
