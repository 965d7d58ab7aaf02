// What a Content-Type value is made of, as nginx takes it apart.

/** Where the type ends and `; charset=` starts; other parameters belong to the type, as nginx sees it. */
const CHARSET = / *; *charset=/i;

/** The content type without its charset. */
export function bareType(contentType: string): string {
  if (!contentType.includes(';')) return contentType;
  const found = CHARSET.exec(contentType);
  return found ? contentType.slice(0, found.index) : contentType;
}

/** The charset that a content type names, or ''. */
export function charsetIn(contentType: string): string {
  if (!contentType.includes(';')) return '';
  const found = CHARSET.exec(contentType);
  if (!found) return '';
  return contentType.slice(found.index + found[0].length).replace(/^"|"$/g, '');
}
