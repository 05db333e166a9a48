import type { TagNode } from '../backend'

/** The elements that contain the words, with the sequences they are in. Matches tag, name and value, in any case. */
export function filterTags(nodes: TagNode[], words: string): TagNode[] {
  const needle = words.trim().toLowerCase()
  if (needle === '') return nodes
  const matches = (node: TagNode): boolean =>
    [node.tag, node.name, node.value].some((text) => text.toLowerCase().includes(needle))
  const kept = (node: TagNode): TagNode | null => {
    if (matches(node)) return node
    const children = node.children.map(kept).filter((child) => child !== null)
    return children.length > 0 ? { ...node, children } : null
  }
  return nodes.map(kept).filter((node) => node !== null)
}

/** The elements as lines of text, items indented. */
export function tagText(nodes: TagNode[], depth = 0): string {
  return nodes
    .map((node) => {
      const line = `${'  '.repeat(depth)}${node.tag} ${node.vr} ${node.name}: ${node.value}`.trimEnd()
      return node.children.length > 0 ? `${line}\n${tagText(node.children, depth + 1)}` : line
    })
    .join('\n')
}
