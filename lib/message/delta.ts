const FIELD = 'data: ';

/**
 * A text that comes in pieces, cut anywhere, made such that the pieces, each an event of its own, add up to the text:
 * with LF for each of its line ends, and none of its characters torn apart.
 */
export class Delta {
  #held = '';
  #endsInCr = false;

  /** What of the text is ready with the next piece; '' when nothing is. */
  next(piece: string): string {
    let text = this.#held + piece;
    this.#held = '';
    // A line end that is cut in two is one.
    if (this.#endsInCr && text.startsWith('\n')) text = text.slice(1);
    if (piece !== '') this.#endsInCr = piece.endsWith('\r');
    if (isHighSurrogate(text)) {
      this.#held = text.slice(-1);
      text = text.slice(0, -1);
    }
    return text.replaceAll(/\r\n?/g, '\n');
  }

  /** What is left, at the end of the text. */
  rest(): string {
    const rest = this.#held;
    this.#held = '';
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
