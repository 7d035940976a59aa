import { readFileSync } from 'node:fs'
import { type Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { createServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { createServer as createTlsServer } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { createUpstreamAgent } from '../../src/proxy/upstream-agent.ts'
import { listen } from '../harness/listen.ts'
import { until } from './proxy-server.ts'

const read = (name: string) => readFileSync(new URL(`certificates/${name}`, import.meta.url), 'utf8')
const answer = (body: string, ...headers: string[]) =>
  ['HTTP/1.1 200 OK', `content-length: ${body.length}`, ...headers, '', body].join('\r\n')
const target = (received: string) => /^\S+ (\S+)/.exec(received)?.[1] ?? ''

/** Every connection that the agent knows of, idle or not. */
const known = (agent: Agent) => [agent.sockets, agent.freeSockets].flatMap((each) => Object.values(each).flat())
const idle = (agent: Agent) => Object.values(agent.freeSockets).flat()
/** What listens on the idle ones. */
const listeners = (agent: Agent) =>
  idle(agent).map((socket) => socket?.eventNames().map((name) => [name, socket.listenerCount(name)]))

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

describe.each([
  ['plain', false],
  ['encrypted', true],
] as const)('a kept connection, %s,', (_, encrypted) => {
  /** An upstream that is told of each request, and an agent for it. */
  async function start(onRequest: (socket: Socket, path: string, connection: number) => void) {
    const accepted: Socket[] = []
    const onConnection = (socket: Socket) => {
      // Sent at once, so that the bytes of a test arrive when it says.
      const connection = accepted.push(socket.setNoDelay(true)) - 1
      socket.on('data', (piece) => onRequest(socket, target(piece.toString('latin1')), connection))
    }
    const server = encrypted
      ? createTlsServer({ key: read('server.key'), cert: read('server.pem') }, onConnection)
      : createServer(onConnection)
    const upstream = await listen(server)
    const { agent, retire } = createUpstreamAgent({ encrypted, keepAlive: true, serverName: '', ca: read('ca.pem') })
    cleanUps.push(upstream.stop, retire)
    const begin = (path: string, method = 'GET'): ClientRequest =>
      (encrypted ? httpsRequest : httpRequest)({ agent, host: '127.0.0.1', port: upstream.port, method, path })
    /** The body of the answer, once its connection is idle or gone; the code of the error where there is none. */
    async function ask(path: string, method?: string): Promise<string> {
      const request = begin(path, method)
      const closed = new Promise((resolve) => request.on('close', resolve))
      const [said] = await Promise.all([saidTo(request), closed])
      await new Promise((resolve) => setImmediate(resolve))
      return said
    }
    return { accepted, agent, begin, ask, retire }
  }

  function saidTo(request: ClientRequest): Promise<string> {
    const body = new Promise<string>((resolve) => {
      request.on('response', (incoming: IncomingMessage) => text(incoming).then(resolve, () => resolve('broken')))
      request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.name))
    })
    request.end()
    return body
  }

  test('is used for the next request, the one used last before others', async () => {
    const { accepted, agent, ask } = await start((socket, path, connection) =>
      socket.write(answer(`${path} ${connection}`)),
    )
    expect(await Promise.all(['/a', '/b', '/c'].map((path) => ask(path)))).toHaveLength(3)
    const last = idle(agent).at(-1)
    expect(await ask('/d')).toMatch(/^\/d /)
    expect(idle(agent)).toHaveLength(3)
    expect(idle(agent).at(-1)).toBe(last)
    expect(accepted).toHaveLength(3)
  })

  test('that the upstream closes is forgotten at once', async () => {
    const { accepted, agent, ask } = await start((socket, path) => socket.write(answer(path)))
    await ask('/a')
    accepted[0]?.destroy()
    await until(() => known(agent).length === 0)
    expect(await ask('/b')).toBe('/b')
    expect(accepted).toHaveLength(2)
  })

  test.each(['last', 'first'])('that has died just now is not taken, be it the one used %s', async (which) => {
    const { accepted, agent, ask } = await start((socket, path) => socket.write(answer(path)))
    await Promise.all(['/a', '/b', '/c'].map((path) => ask(path)))
    const dying = which === 'last' ? idle(agent).slice(1) : idle(agent).slice(0, 2)
    for (const socket of dying) socket?.destroy()
    // In the same turn: Node has not told of their end.
    expect(await ask('/d', 'POST')).toBe('/d')
    expect(accepted).toHaveLength(3)
    expect(known(agent)).toHaveLength(1)
  })

  test('is not taken when all have died just now', async () => {
    const { accepted, agent, ask } = await start((socket, path) => socket.write(answer(path)))
    await Promise.all(['/a', '/b'].map((path) => ask(path)))
    for (const socket of idle(agent)) socket?.destroy()
    expect(await ask('/c', 'POST')).toBe('/c')
    expect(accepted).toHaveLength(3)
    expect(known(agent)).toHaveLength(1)
  })

  test('that breaks under the next request is told as an error of that request, and of no other', async () => {
    const { agent, ask } = await start((socket, path) => {
      if (path === '/break') socket.destroy()
      else socket.write(answer(path))
    })
    await Promise.all([ask('/a'), ask('/b')])
    expect(await Promise.all([ask('/break'), ask('/c')])).toEqual(['ECONNRESET', '/c'])
    expect(known(agent)).toHaveLength(1)
  })

  test('is closed when it has been idle for four seconds', async () => {
    const { accepted, agent, ask } = await start((socket, path) => socket.write(answer(path)))
    await ask('/a')
    const [socket] = idle(agent)
    expect(socket?.timeout).toBe(4000)
    // The same timer, turned on.
    socket?.setTimeout(20)
    await until(() => known(agent).length === 0 && accepted[0]?.destroyed === true)
    expect(await ask('/b')).toBe('/b')
  })

  test('in use has as long as it needs: the time for idle ones does not end it', async () => {
    const { agent, ask } = await start((socket, path) => {
      setTimeout(() => socket.write(answer(path)), path === '/slow' ? 100 : 0)
    })
    await ask('/a')
    const slow = ask('/slow')
    const [socket] = known(agent)
    expect([Object.keys(agent.sockets), Object.keys(agent.freeSockets)]).toMatchObject([{ length: 1 }, { length: 0 }])
    socket?.setTimeout(20)
    expect(await slow).toBe('/slow')
    expect(idle(agent)).toHaveLength(1)
    expect(idle(agent)[0]?.timeout).toBe(4000)
  })

  test.each([
    ['timeout=1', undefined],
    ['timeout=0', undefined],
    ['timeout=3', 2000],
    ['timeout=60', 4000],
    ['max=5', 4000],
  ])('whose upstream said Keep-Alive: %s is kept for %s ms', async (hint, milliseconds) => {
    const { agent, ask } = await start((socket, path) => {
      socket.write(path === '/hint' ? answer(path, `keep-alive: ${hint}`) : answer(path))
    })
    await ask('/hint')
    expect(idle(agent).map((socket) => socket?.timeout)).toEqual(milliseconds === undefined ? [] : [milliseconds])
    await ask('/a')
    expect(idle(agent).map((socket) => socket?.timeout)).toEqual([4000])
  })

  test('is not kept after Connection: close, nor after half an answer', async () => {
    const { agent, ask } = await start((socket, path) => {
      if (path === '/close') socket.write(answer(path, 'connection: close'))
      else socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf')
    })
    expect(await ask('/close')).toBe('/close')
    expect(await ask('/half')).toBe('broken')
    await until(() => known(agent).length === 0)
  })

  test('on which bytes arrive while it is idle is closed: no caller gets an answer that nobody asked for', async () => {
    const { accepted, agent, ask } = await start((socket, path) => socket.write(answer(path)))
    await ask('/a')
    expect(idle(agent)).toHaveLength(1)
    accepted[0]?.write(answer('for nobody'))
    await until(() => known(agent).length === 0)
    expect(await ask('/b')).toBe('/b')
    expect(accepted).toHaveLength(2)
  })

  test.each(['at once', 'in the next turn'])(
    'on which a second answer comes behind the first one, %s, is closed',
    async (when) => {
      const { agent, ask } = await start((socket, path) => {
        socket.write(answer(path) + (when === 'at once' ? answer('for nobody') : ''))
        if (when === 'in the next turn') setImmediate(() => socket.write(answer('for nobody')))
      })
      for (const path of ['/a', '/b', '/c']) {
        expect(await ask(path)).toBe(path)
        await until(() => known(agent).length === 0)
      }
    },
  )

  test('whose request was given up before it was sent serves the next one', async () => {
    const { accepted, agent, begin, ask } = await start((socket, path) => socket.write(answer(path)))
    await ask('/a')
    const before = listeners(agent)
    const given = begin('/given-up').on('error', () => {})
    given.destroy()
    await new Promise((resolve) => given.on('close', resolve))
    expect(idle(agent)).toHaveLength(1)
    expect(Object.keys(agent.sockets)).toEqual([])
    expect(listeners(agent)).toEqual(before)
    expect(await ask('/b')).toBe('/b')
    expect(accepted).toHaveLength(1)
  })

  test('carries many requests, and each leaves it as it was', async () => {
    const { accepted, agent, ask } = await start((socket, path) => socket.write(answer(path)))
    for (let turn = 0; turn < 3; turn++) await ask(`/${turn}`)
    const before = listeners(agent)
    for (let turn = 0; turn < 500; turn++) expect(await ask(`/${turn}`, turn % 2 ? 'POST' : 'GET')).toBe(`/${turn}`)
    expect(listeners(agent)).toEqual(before)
    expect(accepted).toHaveLength(1)
    expect(agent).toMatchObject({ totalSocketCount: 1 })
  })

  test('is closed with the others when the agent retires, and one in use after its answer', async () => {
    const { agent, ask, retire } = await start((socket, path) => {
      setTimeout(() => socket.write(answer(path)), path === '/slow' ? 50 : 0)
    })
    await Promise.all([ask('/a'), ask('/b')])
    const slow = ask('/slow')
    retire()
    expect(await slow).toBe('/slow')
    await until(() => known(agent).length === 0)
    expect(Object.keys({ ...agent.sockets, ...agent.freeSockets })).toEqual([])
    expect(agent).toMatchObject({ totalSocketCount: 0 })
  })
})
