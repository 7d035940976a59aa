import LibraryHistogram from 'prom-client/lib/histogram.js'
import Registry from 'prom-client/lib/registry.js'
import { expect, test } from 'vitest'
import { createHistogram } from '../../src/admin/histogram.ts'

test('a histogram says what one of the library says: each value up to its bound, and all of them beyond the last', async () => {
  const [ours, theirs] = [new Registry(), new Registry()]
  const options = { name: 'seconds', help: 'How long.', buckets: [0.5, 1, 2.5] }
  const histogram = createHistogram(ours, options)
  const labelNames = ['route', 'listener']
  const reference = new LibraryHistogram({ ...options, labelNames, registers: [theirs] })
  for (const route of ['/a', '/"b"']) {
    const labels = { route, listener: 'main' }
    const observe = histogram.withLabels(labels)
    for (const value of [0, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 3, 1000]) {
      observe(value)
      reference.observe(labels, value)
    }
  }
  expect(await ours.metrics()).toBe(await theirs.metrics())
  const known = await theirs.getMetricsAsJSON()
  // The library adds room for an example to each.
  expect(known).toMatchObject(await ours.getMetricsAsJSON())
})
