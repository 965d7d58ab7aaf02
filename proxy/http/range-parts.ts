// Which bytes of a representation a 206 response holds. Made by the range filter, followed by whatever produces the
// body: a file is read at these places only; a stream is cut by the filter itself.

/** One range: `head` goes before its bytes (the part's head in a multipart body, '' for a single range). */
export interface RangePart {
  readonly head: string;
  /** First byte, and the byte behind the last one. */
  readonly start: number;
  readonly end: number;
}

export interface RangeParts {
  readonly parts: readonly RangePart[];
  /** What closes a multipart body; '' for a single range. */
  readonly tail: string;
}
