/**
 * Colours for heat maps: dark violet through red to pale yellow. Lightness rises in equal steps in OKLab, so that equal
 * differences of relevance look equal, and the map still reads in grey. Source of the space: Ottosson 2020.
 */

/** Entries of {@link HEAT}. */
export const STEPS = 256

/** Red, green, blue. */
export type Rgb = readonly [number, number, number]

/** Linear light of an OKLab colour; may lie outside 0..1. */
function oklabToLinear(L: number, a: number, b: number): Rgb {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ]
}

/** sRGB byte of linear light. Source: IEC 61966-2-1. */
function encode(linear: number): number {
  const x = Math.min(Math.max(linear, 0), 1)
  return Math.round(255 * (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055))
}

/** Linear light of an sRGB byte. */
export function decode(byte: number): number {
  const x = byte / 255
  return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4
}

/** OKLab lightness of an sRGB colour. */
export function lightness([red, green, blue]: Rgb): number {
  const [r, g, b] = [decode(red), decode(green), decode(blue)]
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
  return 0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s
}

/** The colour of a fraction: of the wished hue and lightness, as much chroma as sRGB holds. */
function colourAt(t: number): Rgb {
  const L = 0.25 + 0.7 * t
  const hue = ((300 + 165 * t) * Math.PI) / 180
  let chroma = 0.06 + 0.14 * Math.sin(Math.PI * Math.min(t * 1.1 + 0.1, 1)) + 0.06 * t
  for (;;) {
    const rgb = oklabToLinear(L, chroma * Math.cos(hue), chroma * Math.sin(hue))
    if (chroma <= 0 || rgb.every((x) => x >= 0 && x <= 1)) return rgb
    chroma -= 0.002
  }
}

/** The map: `STEPS` colours, low to high. */
export const HEAT: readonly Rgb[] = Array.from({ length: STEPS }, (_, i) => {
  const [r, g, b] = colourAt(i / (STEPS - 1))
  return [encode(r), encode(g), encode(b)] as const
})

/** The map as a CSS gradient, for legends. */
export function heatGradient(): string {
  const stops = [0, 32, 64, 96, 128, 160, 192, 224, 255].map((i) => `rgb(${HEAT[i]!.join(' ')})`)
  return `linear-gradient(to right, ${stops.join(', ')})`
}
