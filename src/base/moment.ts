import { parsedText } from './scalars.ts'

const written =
  /^(\d{4}-\d\d-\d\d)(?:[Tt]([01]\d|2[0-3])(:[0-5]\d:[0-5]\d(?:\.\d{1,9})?)([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d))?$/

/**
 * A moment in milliseconds since the epoch; a date alone is its beginning in UTC.
 * @see https://www.rfc-editor.org/rfc/rfc3339#section-5.6
 */
export function parseMoment(text: string): number | undefined {
  const [, date, hour = '00', rest = ':00:00', zone = 'Z'] = written.exec(text) ?? []
  if (date === undefined || !isDate(date)) return undefined
  return Date.parse(`${date}T${hour}${rest}${zone.toUpperCase()}`)
}

/** `Date.parse` takes the 30th of February for the 2nd of March. */
function isDate(date: string): boolean {
  const time = Date.parse(`${date}T00:00:00Z`)
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(date)
}

/** A date or a moment of the configuration, in milliseconds since the epoch. */
export const moment = () =>
  parsedText<number>(
    'a date such as 2027-01-31 (its beginning in UTC), or a time such as 2027-01-31T18:00:00Z',
    parseMoment,
  )
