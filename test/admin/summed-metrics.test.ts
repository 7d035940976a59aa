import { describe, expect, it } from 'vitest'
import { createMetrics } from '../../src/admin/metrics.ts'
import { processSnapshot } from '../../src/admin/process-metrics.ts'
import { createWorkerMetrics, sumMetrics, withEnded } from '../../src/admin/summed-metrics.ts'
import { version } from '../../src/base/version.ts'

const until = Date.UTC(2027, 0, 1)

/** What a process that has answered so many requests, in `seconds` each, sends to the one that sums. */
async function counted(requests: number, { seconds = 0.01, inFlight = 1 } = {}) {
  const trials = [{ listener: 'main', route: '/trial', until }]
  const metrics = createMetrics({ inFlight: () => inFlight, trials })
  for (let count = 0; count < requests; count++)
    metrics.countRequest({ listener: 'main', status: 200, seconds, outcome: { code: 'ok', route: '/a' } })
  return structuredClone(await metrics.snapshot())
}

async function series(snapshots: Parameters<typeof sumMetrics>[0]): Promise<Record<string, number>> {
  const lines = (await sumMetrics(snapshots)).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  )
}

const requests = 'scopegate_requests_total{listener="main",route="/a",status="200",code="ok"}'
const bucket = (le: string) => `scopegate_request_duration_seconds_bucket{le="${le}",listener="main",route="/a"}`

describe('metrics of several processes', () => {
  it('are summed, counters, histograms and what is at a moment; what is the same in all of them is not', async () => {
    const sum = await series([await counted(2), await counted(3, { seconds: 0.2, inFlight: 4 })])
    expect(sum).toMatchObject({
      [requests]: 5,
      [bucket('0.01')]: 2,
      [bucket('0.25')]: 5,
      [bucket('+Inf')]: 5,
      'scopegate_request_duration_seconds_count{listener="main",route="/a"}': 5,
      scopegate_requests_in_flight: 5,
      'scopegate_report_mode_until_timestamp_seconds{listener="main",route="/trial"}': until / 1000,
      [`scopegate_build_info{version="${version}"}`]: 1,
    })
  })

  it('of the processes are summed, and tell when the first one began', async () => {
    const own = await processSnapshot()
    const sum = await series([own, own])
    const { process_start_time_seconds: began = 0, process_resident_memory_bytes: memory = 0 } = await series([own])
    expect(Math.abs(began - (Date.now() / 1000 - process.uptime()))).toBeLessThan(2)
    expect(sum).toMatchObject({ process_start_time_seconds: began, process_resident_memory_bytes: 2 * memory })
  })

  it('never go down when a process ends, and what it had at a moment is gone', async () => {
    const ended = await withEnded(await withEnded([], await counted(2)), await counted(3))
    const sum = await series([await counted(1), structuredClone(ended)])
    expect(sum).toMatchObject({ [requests]: 6, [bucket('+Inf')]: 6, scopegate_requests_in_flight: 1 })
  })

  it('tell of the workers', async () => {
    const workers = createWorkerMetrics(() => 3)
    workers.countEnd()
    expect(await series([await workers.snapshot()])).toEqual({ scopegate_workers: 3, scopegate_workers_ended_total: 1 })
  })
})
