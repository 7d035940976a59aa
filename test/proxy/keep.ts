import { afterEach } from 'vitest'
import type { Engine } from '../../src/proxy/engine.ts'
import { type ProxyServerOptions, startProxyServer } from './proxy-server.ts'

interface Stoppable {
  stop(): Promise<void>
}

/** What a test starts, stopped after it in the opposite order. Its proxies send with this engine, if one is given. */
export function createKeeper(engine?: Engine) {
  const started: Stoppable[] = []
  afterEach(async () => {
    for (const each of started.splice(0).reverse()) await each.stop()
  })
  async function keep<Part extends Stoppable>(part: Part | Promise<Part>): Promise<Part> {
    const present = await part
    started.push(present)
    return present
  }
  const proxyTo = (upstream: unknown, options: Partial<ProxyServerOptions> = {}) =>
    keep(startProxyServer({ upstream, ...(engine && { engine }), ...options }))
  return { keep, proxyTo }
}
