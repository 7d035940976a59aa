import { createServer, type Server } from 'node:http'
import { fileURLToPath } from 'node:url'
import express from 'express'
// In an application of your own: from 'scopegate'.
import { type Config, createGateway, type GatewayOptions, loadConfig } from '../src/index.ts'

/** An Express application that answers some paths by itself, and leaves to the gateway what a route of its file owns. */
export function createExampleServer(config: Config, options: GatewayOptions = {}): Server {
  const gateway = createGateway(config, options)
  const app = express()
  app.get('/about', (_request, response) => {
    response.json({ about: 'answered by the application itself' })
  })
  // Before any body parser: the gateway passes bodies on as they come in.
  app.use(gateway.middleware)
  app.use((_request, response) => {
    response.status(404).json({ error: 'neither the application nor the gateway knows this path' })
  })

  const server = createServer(gateway.serverOptions, app)
  gateway.attach(server)
  server.on('close', () => void gateway.close())
  return server
}

if (import.meta.main) {
  const file = fileURLToPath(new URL('express-app.yaml', import.meta.url))
  createExampleServer(loadConfig(file)).listen(3000, '127.0.0.1', () => console.log('http://127.0.0.1:3000/about'))
}
