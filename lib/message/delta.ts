const FIELD = 'data: ';

/**
 * Makes the pieces of a text, cut anywhere, such that their events add up to the text: with LF for each of its line ends,
 * and none of its characters torn apart.
 */
export class Delta {
  /** The first half of a character whose second half has not come. */
  #half = '';
  #endsInCr = false;

  /** The text that is ready with the next piece; '' if none is. */
  next(piece: string): string {
    let text = this.#half + piece;
    this.#half = '';
    // CRLF may be cut in two; it is one line end.
    if (this.#endsInCr && text.startsWith('\n')) text = text.slice(1);
    if (piece !== '') this.#endsInCr = piece.endsWith('\r');
    if (isHighSurrogate(text)) {
      this.#half = text.slice(-1);
      text = text.slice(0, -1);
    }
    return text.replaceAll(/\r\n?/g, '\n');
  }

  /** The rest, at the end of the text. */
  rest(): string {
    const rest = this.#half;
    this.#half = '';
    return rest;
  }
}

/** Joins the bodies of neighbouring pieces, all of them data, into one: the last line of each goes on in the next. */
export function joinBodies(bodies: readonly string[]): string {
  return bodies
    .map((body, i) => (i === 0 ? body : body.slice(FIELD.length)).slice(0, -1))
    .join('')
    .concat('\n');
}

function isHighSurrogate(text: string): boolean {
  const code = text.charCodeAt(text.length - 1);
  return code >= 0xd800 && code <= 0xdbff;
}
