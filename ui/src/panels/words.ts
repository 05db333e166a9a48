/** Small texts that several panels share. */

/** A fraction as a percentage without decimals; never "100 %" or "0 %" for what is not quite. */
export function percent(fraction: number): string {
  const whole = Math.round(fraction * 100)
  if (whole === 100 && fraction < 1) return '>99 %'
  if (whole === 0 && fraction > 0) return '<1 %'
  return `${whole} %`
}

/** The beginning of a text, cut at a word. */
export function excerpt(text: string, length: number): string {
  const line = text.replace(/\s+/g, ' ').trim()
  if (line.length <= length) return line
  const cut = line.slice(0, length)
  return `${cut.slice(0, Math.max(cut.lastIndexOf(' '), length / 2))}…`
}

/** With a capital at the beginning. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** Words that have a case or a spelling of their own, by how they come in labels, in lower case. */
const SPELLINGS: Record<string, string> = {
  ap: 'AP',
  cr: 'CR',
  ct: 'CT',
  dx: 'DX',
  mg: 'MG',
  mr: 'MR',
  mri: 'MRI',
  pa: 'PA',
  pet: 'PET',
  xray: 'X-ray',
  'x-ray': 'X-ray',
  xr: 'XR',
}

/** A label with X-ray, CT and MRI as they are spelled. */
export function spelled(text: string): string {
  return text.replace(/_/g, ' ').replace(/[\p{L}-]+/gu, (word) => SPELLINGS[word.toLowerCase()] ?? word)
}

/** A label or an answer as one writes it alone: spelled, with a capital at the beginning. */
export function proper(text: string): string {
  return capital(spelled(text))
}
