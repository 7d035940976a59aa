import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished, test } from 'vitest'
import { callAt } from '../../src/base/clock.ts'
import { startTunnel, type TunnelEnd } from '../../src/proxy/upgrade-tunnel.ts'
import { createTestClock } from '../harness/clock.ts'
import { listen } from '../harness/listen.ts'
import { until } from './proxy-server.ts'

/** Two connections tied together: the gateway's ends of them, and the far ones. */
async function startTied(early: Buffer[] = [], head: Buffer = Buffer.alloc(0)) {
  const accepted: Socket[] = []
  const listening = await listen(createServer({ allowHalfOpen: true }, (socket) => accepted.push(socket)))
  const open = async () => {
    const far = connect({ port: listening.port, host: '127.0.0.1', allowHalfOpen: true })
    far.on('error', () => {})
    await until(() => accepted.length > 0)
    const near = accepted.pop()
    if (!near) throw new Error('nothing was accepted')
    near.pause()
    const keepAlive: unknown[] = []
    near.setKeepAlive = (...wish: unknown[]) => {
      keepAlive.push(wish)
      return near
    }
    return { far, near, keepAlive }
  }
  const [caller, upstream] = [await open(), await open()]
  onTestFinished(async () => {
    for (const { far } of [caller, upstream]) far.destroy()
    await listening.stop()
  })
  const clock = createTestClock()
  const ended = startTunnel({ caller: caller.near, upstream: upstream.near, early, head, idle: 60_000, clock })
  return { caller, upstream, clock, ended }
}

/** Sends so much as fast as it is taken, and ends. */
async function pour(socket: Socket, bytes: number): Promise<void> {
  const piece = Buffer.alloc(64 * 1024, 'x')
  for (let left = bytes; left > 0; left -= piece.length)
    if (!socket.write(piece.subarray(0, Math.min(left, piece.length)))) await once(socket, 'drain')
  socket.end()
}

/** Reads all that comes, with a pause whenever so much has come. */
async function sip(socket: Socket, look: () => void): Promise<number> {
  let total = 0
  for await (const chunk of socket) {
    total += (chunk as Buffer).length
    look()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return total
}

test('50 MB both ways to slow readers arrive whole, and little of them is ever held', async () => {
  const size = 50 * 1024 * 1024
  const { caller, upstream, ended } = await startTied()
  let most = 0
  const look = () => {
    for (const { near } of [caller, upstream]) most = Math.max(most, near.writableLength + near.readableLength)
  }
  const [toUpstream, toCaller] = await Promise.all([
    sip(upstream.far, look),
    sip(caller.far, look),
    pour(caller.far, size),
    pour(upstream.far, size),
  ])
  expect([toUpstream, toCaller]).toEqual([size, size])
  expect(most).toBeLessThan(512 * 1024)
  expect(await ended).toMatchObject<Partial<TunnelEnd>>({ bytesIn: size, bytesOut: size })
})

test('a receiver that reads nothing holds up the sender', async () => {
  const { caller, upstream } = await startTied()
  caller.far.pause()
  let sent = 0
  const send = () => {
    while (sent < 100_000_000 && upstream.far.write(Buffer.alloc(64 * 1024))) sent += 64 * 1024
  }
  upstream.far.on('drain', send)
  send()
  let before = -1
  while (before !== sent) {
    before = sent
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  expect(sent).toBeLessThan(50_000_000)
  expect(caller.near.writableLength).toBeLessThan(256 * 1024)
})

/** Sends as much as is taken; resolves once nothing more is. */
async function fill(from: Socket): Promise<void> {
  const send = () => {
    while (from.write(Buffer.alloc(1_000_000)));
  }
  from.on('drain', send)
  send()
  for (let before = -1; before !== from.bytesWritten; ) {
    before = from.bytesWritten
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

describe.each([
  ['caller', 'upstream'],
  ['upstream', 'caller'],
] as const)('bytes of the %s that the %s does not take:', (from, to) => {
  it('both are cut off after the idle time, also where the sender has long since vanished', async () => {
    const tied = await startTied()
    tied[to].far.pause()
    await fill(tied[from].far)
    tied[from].far.resetAndDestroy()
    await tied.clock.advance(59_000)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect([tied.caller.near.destroyed, tied.upstream.near.destroyed]).toEqual([false, false])
    await tied.clock.advance(1000)
    expect((await tied.ended).reason).toBe('stalled')
    expect(tied.clock.pendingTimers()).toBe(0)
  })

  it('nothing waits for them where the connection is broken', async () => {
    const tied = await startTied()
    tied[to].far.pause()
    await fill(tied[from].far)
    tied[to].near.destroy()
    tied[from].far.destroy()
    expect((await tied.ended).reason).toBe(to)
    expect(tied.clock.pendingTimers()).toBe(0)
  })

  it('once they were taken, any length of silence may follow', async () => {
    const tied = await startTied()
    tied[to].far.pause()
    await fill(tied[from].far)
    tied[from].far.removeAllListeners('drain')
    expect(tied.clock.pendingTimers()).toBe(1)
    tied[to].far.resume()
    // All of them: while some are on the way, the next one may find no room again.
    await until(() => tied[to].far.bytesRead === tied[from].far.bytesWritten && tied.clock.pendingTimers() === 0)
    await tied.clock.advance(3_600_000)
    tied[from].far.end('last')
    tied[to].far.end()
    expect((await tied.ended).reason).not.toBe('stalled')
  })
})

test('an upstream that took its time with the last bytes may go on answering', async () => {
  const { caller, upstream, clock, ended } = await startTied([Buffer.alloc(20_000_000)])
  upstream.far.pause()
  caller.far.end()
  await new Promise((resolve) => setTimeout(resolve, 200))
  const taken = upstream.far.resume().toArray()
  let answered = 0
  caller.far.on('data', (piece: Buffer) => {
    answered += piece.length
  })
  for (let piece = 1; piece <= 80; piece++) {
    upstream.far.write('x')
    await until(() => answered === piece)
    await clock.advance(900)
  }
  upstream.far.end()
  expect(Buffer.concat(await taken)).toHaveLength(20_000_000)
  expect((await ended).reason).toBe('caller')
})

test('a side that vanishes in silence is found out: both are asked now and then whether they are there', async () => {
  const { caller, upstream } = await startTied()
  for (const { keepAlive } of [caller, upstream]) expect(keepAlive).toEqual([[true, 30_000]])
})

test('what came early goes first, both ways', async () => {
  const { caller, upstream } = await startTied([Buffer.from('one '), Buffer.from('two ')], Buffer.from('head '))
  caller.far.end('three')
  upstream.far.end('body')
  const [toUpstream, toCaller] = await Promise.all([upstream.far.toArray(), caller.far.toArray()])
  expect([Buffer.concat(toUpstream).toString(), Buffer.concat(toCaller).toString()]).toEqual([
    'one two three',
    'head body',
  ])
})

test('nothing waits any more once both are closed', async () => {
  const { caller, clock, ended } = await startTied()
  caller.far.destroy()
  await until(() => clock.pendingTimers() === 1)
  await clock.advance(1000)
  expect((await ended).reason).toBe('caller')
  expect(clock.pendingTimers()).toBe(0)
})

test('the last bytes of an upstream that has ended reach a caller that is slow to read them', async () => {
  const { caller, upstream, ended } = await startTied()
  caller.far.pause()
  upstream.far.end(Buffer.alloc(3_000_000))
  await new Promise((resolve) => setTimeout(resolve, 300))
  caller.far.resume().on('end', () => caller.far.end())
  expect(await ended).toMatchObject({ reason: 'upstream', bytesOut: 3_000_000 })
})

test('a moment far away comes when it comes, and one that is over at once', async () => {
  const clock = createTestClock()
  const called: string[] = []
  const delays: number[] = []
  const watched = {
    ...clock,
    setTimeout(callback: () => void, delay: number) {
      delays.push(delay)
      return clock.setTimeout(callback, delay)
    },
  }
  callAt(watched, clock.now() + 40 * 86_400_000, () => called.push('far'))
  callAt(clock, clock.now() - 1, () => called.push('over'))
  const cancel = callAt(clock, clock.now() + 7_200_000, () => called.push('never'))
  await clock.advance(3_700_000)
  cancel()
  expect(called).toEqual(['over'])
  await clock.advance(39 * 86_400_000)
  expect(called).toEqual(['over'])
  await clock.advance(86_400_000)
  expect(called).toEqual(['over', 'far'])
  // Above 2^31 a timer of Node's fires at once, and meanwhile a clock may be set.
  expect(Math.max(...delays)).toBeLessThanOrEqual(3_600_000)
  expect(clock.pendingTimers()).toBe(0)
})
