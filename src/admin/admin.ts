import express, { type Express } from 'express'
import { metricsContentType } from './metrics.ts'

/** What the admin listener tells of the process. */
export interface AdminSources {
  /** Why no request should be sent here now; `undefined` when it should. */
  notReady(): string | undefined
  /** Text for Prometheus. */
  metrics(): Promise<string>
}

/**
 * The admin listener's application: `/healthz` (the process lives), `/readyz` (requests should be sent here) and
 * `/metrics` (counters for Prometheus).
 */
export function createAdmin({ notReady, metrics }: AdminSources): Express {
  const app = express()
  app.disable('x-powered-by').disable('etag').set('query parser', false)
  app.use((_request, response, next) => {
    response.set('cache-control', 'no-store')
    next()
  })
  app.get('/healthz', (_request, response) => {
    response.json({ status: 'ok' })
  })
  app.get('/readyz', (_request, response) => {
    const reason = notReady()
    response
      .status(reason === undefined ? 200 : 503)
      .json(reason === undefined ? { status: 'ready' } : { status: reason })
  })
  app.get('/metrics', async (_request, response) => {
    response.set('content-type', metricsContentType).send(await metrics())
  })
  app.use((_request, response) => {
    response.status(404).json({ status: 'not found', paths: ['/healthz', '/readyz', '/metrics'] })
  })
  return app
}
