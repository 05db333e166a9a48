import { BackendError } from '../backend'

/** How grave a message is. */
export type Severity = 'error' | 'warning' | 'info'

/** A message that stays until it is dismissed. */
export interface Message {
  id: number
  severity: Severity
  code: string
  text: string
  /** How often it came. */
  count: number
}

/** At most this many messages are shown; the oldest go first. */
const KEPT = 4

/** What the user is told. */
export class Messages {
  list = $state<Message[]>([])
  #next = 1

  /** Adds a message, or counts it again if it is there already. */
  add(severity: Severity, code: string, text: string): void {
    const same = this.list.find((m) => m.severity === severity && m.code === code && m.text === text)
    if (same) {
      same.count++
      return
    }
    this.list.push({ id: this.#next++, severity, code, text, count: 1 })
    while (this.list.length > KEPT) this.list.shift()
  }

  /** Tells of a failure; what the user stopped is none. */
  fail(reason: unknown): void {
    const error = BackendError.from(reason)
    if (!error.cancelled) this.add('error', error.code, error.message)
  }

  dismiss(id: number): void {
    this.list = this.list.filter((message) => message.id !== id)
  }

  /** Shows what nobody caught, and keeps the window alive. Returns how to stop listening. */
  listen(target: Window): () => void {
    const onError = (event: ErrorEvent): void => {
      // Browsers report a resize observer that needed another round as an error; it is none.
      if (event.message.startsWith('ResizeObserver loop')) return
      this.add('error', 'window', event.message || 'Something in the window failed.')
    }
    const onRejection = (event: PromiseRejectionEvent): void => {
      event.preventDefault()
      this.fail(event.reason)
    }
    target.addEventListener('error', onError)
    target.addEventListener('unhandledrejection', onRejection)
    return () => {
      target.removeEventListener('error', onError)
      target.removeEventListener('unhandledrejection', onRejection)
    }
  }
}
