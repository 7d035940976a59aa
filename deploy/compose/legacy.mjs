// A service of long ago for docker-compose.yml. It knows one base URL and nothing of tokens: /reports/7 is about customer 7.
import { createServer } from 'node:http'

const customers = process.env.CUSTOMERS_URL

const server = createServer(async (request, response) => {
  request.resume()
  const [, customer] = /^\/reports\/(\d+)$/.exec(request.url) ?? []
  if (customer === undefined) return answer(response, request.url === '/' ? 200 : 404, { reports: '/reports/NUMBER' })
  try {
    const fetched = await fetch(`${customers}/customers/${customer}`)
    answer(response, fetched.status, { report: `customer ${customer}`, answer_of_the_api: await fetched.json() })
  } catch {
    answer(response, 502, { report: `customer ${customer}`, answer_of_the_api: null })
  }
})

function answer(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

server.listen(Number(process.env.PORT ?? 8080))
