import { expect, it } from 'vitest'
import { routeNames } from '../../src/config/route-names.ts'

it('a route is called by its host, path and methods, if it has no name of its own', () => {
  const routes = [
    { listener: 'main', path: '/a', name: 'mine' },
    { listener: 'main', path: '/a', host: 'x.example', methods: ['GET', 'PUT'] },
  ]
  expect(routeNames(routes)).toEqual(['mine', 'x.example/a GET,PUT'])
})

it('routes of several listeners that would be called the same have the listener in front', () => {
  const routes = [
    { listener: 'inner', path: '/a' },
    { listener: 'outer', path: '/a' },
    { listener: 'outer', path: '/b' },
  ]
  expect(routeNames(routes)).toEqual(['inner /a', 'outer /a', '/b'])
})
