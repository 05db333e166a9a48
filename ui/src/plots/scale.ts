/** From values to places in a drawing. */

/** Lowest and highest value of an axis. */
export type Domain = readonly [number, number]

/** A place. */
export interface Place {
  x: number
  y: number
}

/** A function that takes a domain to a range; a domain without extent goes to the range's middle. */
export function linear([low, high]: Domain, [from, to]: Domain): (value: number) => number {
  if (high === low) return () => (from + to) / 2
  return (value) => from + ((value - low) / (high - low)) * (to - from)
}

/** The least and the greatest of values; `fallback` without any. */
export function extent(values: readonly number[], fallback: Domain = [0, 1]): Domain {
  const finite = values.filter(Number.isFinite)
  return finite.length === 0 ? fallback : [Math.min(...finite), Math.max(...finite)]
}

/** About `count` round values inside a domain: 1, 2 or 5 times a power of ten apart. */
export function ticks([low, high]: Domain, count: number): number[] {
  const rough = (high - low) / Math.max(count, 1)
  if (!(rough > 0) || !Number.isFinite(rough)) return [low]
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999)!
  const first = Math.ceil(low / step - 1e-9)
  const last = Math.floor(high / step + 1e-9)
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}

/** A domain that begins and ends at round values. */
export function rounded([low, high]: Domain, count: number): Domain {
  const margin = high > low ? 0 : Math.abs(high) / 10 || 1
  const [least, most] = [low - margin, high + margin]
  const inner = ticks([least, most], count)
  const step = inner.length > 1 ? inner[1]! - inner[0]! : most - least
  const round = (value: number, to: (value: number) => number): number =>
    Number((to(value / step) * step).toPrecision(12))
  return [round(least + step * 1e-9, Math.floor), round(most - step * 1e-9, Math.ceil)]
}

/** A tick's words: as many digits as it needs, with a true minus sign. */
export function tickText(value: number): string {
  const digits = value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(0) : String(Number(value.toPrecision(6)))
  return digits.replace('-', '−')
}

/** An SVG path through places, in order. */
export function pathOf(places: readonly Place[]): string {
  return places.map(({ x, y }, i) => `${i === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`).join('')
}
