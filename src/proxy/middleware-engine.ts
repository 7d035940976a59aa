import type { IncomingMessage, ServerResponse } from 'node:http'
import { createProxyMiddleware, type Plugin } from 'http-proxy-middleware'
import type { Attempt } from './attempt.ts'
import type { Engine } from './engine.ts'
import { RequestView, ResponseSink } from './proxy-view.ts'
import { answerOf } from './upstream-answer.ts'

/** http-proxy-middleware: for requests for WebSockets. Everything else it does too, at twice the cost of `nodeEngine`. */
export function createMiddlewareEngine(): Engine {
  const listen: Plugin = (proxy) => {
    proxy.on('error', (error, view) => attemptOf(view)?.onError(error))
    proxy.on('econnreset', (error, view) => attemptOf(view)?.onError(error))
    proxy.on('proxyRes', (answer, view) => attemptOf(view)?.onAnswer(answerOf(answer)))
  }
  const proxy = createProxyMiddleware({
    ws: false,
    selfHandleResponse: true,
    // Its own plugins answer errors with the upstream's name.
    ejectPlugins: true,
    plugins: [listen],
    router: (view, _sink, options) => {
      const attempt = attemptOf(view)
      if (!attempt || attempt.isOver()) throw new Error('the request is over')
      options.agent = attempt.connections.agent
      return { ...attempt.exchange.upstream.target, pathname: attempt.exchange.path }
    },
  })
  return {
    name: 'http-proxy-middleware',
    start(attempt) {
      const sink = new ResponseSink()
      const fail = (error: unknown) => attempt.onError(error ?? new Error('the proxy passed the request over'))
      const [request, response] = [new RequestView(attempt), sink] as unknown as [IncomingMessage, ServerResponse]
      proxy(request, response, fail).catch(fail)
      return (isWhole) => sink.close(isWhole)
    },
  }
}

/** The library hands back the view that it was called with. */
function attemptOf(view: object | undefined): Attempt | undefined {
  return view instanceof RequestView ? view.attempt : undefined
}
