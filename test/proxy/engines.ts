import { describe } from 'vitest'
import type { Engine } from '../../src/proxy/engine.ts'
import { createMiddlewareEngine } from '../../src/proxy/middleware-engine.ts'
import { nodeEngine } from '../../src/proxy/node-engine.ts'
import { undiciEngine } from '../../src/proxy/undici-engine.ts'
import { createKeeper } from './keep.ts'

/** Every engine that there is; a test sees that none is missing. */
export const engines: readonly Engine[] = [undiciEngine, nodeEngine, createMiddlewareEngine()]

/** The contract of an engine: these tests, once with each, be the requests for WebSockets or not. */
export function withEachEngine(tests: (kit: ReturnType<typeof createKeeper> & { readonly engine: Engine }) => void) {
  describe.each(engines)('with the engine $name:', (engine) => tests({ ...createKeeper(engine), engine }))
}
