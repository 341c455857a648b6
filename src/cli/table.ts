/** Text columns under their titles, two blanks apart; the last one is not padded. */
export const formatTable = (titles: readonly string[], rows: readonly (readonly string[])[]): string => {
  const lines = [titles, ...rows].map((row) => row.map(printable))
  const widths = titles.map((_, i) => Math.max(...lines.map((line) => Bun.stringWidth(line[i] ?? ''))))
  return lines.map((line) => line.map((cell, i) => (i === line.length - 1 ? cell : pad(cell, widths[i] ?? 0))).join('  ')).join('\n')
}

const pad = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - Bun.stringWidth(text)))

// Labels come from anybody: control characters would steer the terminal.
const printable = (text: string): string => text.replace(/\p{Cc}/gu, '�')
