import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { createFileRecordStore } from '../../../src/egress/registration/file-record-store.ts'
import { createKeeper } from '../../proxy/keep.ts'
import { createFolder } from './registering-gateway.ts'

const { keep } = createKeeper()

test('of many records that are written at once none is lost', async () => {
  const { file, path } = await keep(createFolder())
  const names = Array.from({ length: 12 }, (_, index) => `name-${index}`)
  const stores = names.map(() => createFileRecordStore(file, systemClock))
  const written = await Promise.all(stores.map((store, index) => store.replace(names[index] ?? '', undefined, 'value')))
  expect(new Set(written)).toEqual(new Set([true]))
  const [store] = stores
  expect(await Promise.all(names.map((name) => store?.get(name)))).toEqual(names.map(() => 'value'))
  expect(readdirSync(path)).toEqual(['registrations'])
})

test('a record is replaced by who has seen it, and by nobody else', async () => {
  const { file } = await keep(createFolder())
  const store = createFileRecordStore(file, systemClock)
  expect(await store.replace('name', 'another', 'first')).toBe(false)
  expect(await store.replace('name', undefined, 'first')).toBe(true)
  expect(await store.replace('name', undefined, 'second')).toBe(false)
  expect(await store.get('name')).toBe('first')
  expect(await store.replace('name', 'first', undefined)).toBe(true)
  expect(await store.get('name')).toBeUndefined()
})
