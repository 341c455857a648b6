/** A name in SQL, whatever it holds. */
export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`
