/** The records that cross to and from the shell, generated from Rust. */
export type * from './bindings'
