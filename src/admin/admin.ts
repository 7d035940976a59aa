import express, { type Express } from 'express'

/** What the admin listener tells of the process. */
export interface Health {
  /** Why no request should be sent here now; `undefined` when it should. */
  notReady(): string | undefined
}

/** The admin listener's application: `/healthz` (the process lives) and `/readyz` (requests should be sent here). */
export function createAdmin(health: Health): Express {
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
    const reason = health.notReady()
    response
      .status(reason === undefined ? 200 : 503)
      .json(reason === undefined ? { status: 'ready' } : { status: reason })
  })
  app.use((_request, response) => {
    response.status(404).json({ status: 'not found', paths: ['/healthz', '/readyz'] })
  })
  return app
}
