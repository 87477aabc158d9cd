/** How long an event of joined pieces may become, in bytes; a single piece may be longer. */
const MAX_JOINED_BYTES = 64 * 1024;

const FIELD = 'data: ';
const ID = '\nid: ';

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

/** Joins the frames of neighbouring pieces into few: each has the data of its pieces, and the id of its last one. */
export function joinPieces(frames: readonly string[]): string[] {
  const joined: string[] = [];
  for (let i = 0; i < frames.length;) {
    const parts: string[] = [];
    let bytes = 0;
    for (; i < frames.length; i++) {
      const frame = frames[i]!;
      bytes += Buffer.byteLength(frame);
      if (parts.length > 0 && bytes > MAX_JOINED_BYTES) break;
      parts.push(frame);
    }
    joined.push(joinAll(parts));
  }
  return joined;
}

/** The first piece loses its end, the last its beginning, and those in between both. */
function joinAll(frames: readonly string[]): string {
  const last = frames.length - 1;
  return frames
    .map((frame, i) => frame.slice(i === 0 ? 0 : FIELD.length, i === last ? frame.length : dataEndOf(frame)))
    .join('');
}

/** Where the data of a frame ends, without the line end. */
function dataEndOf(frame: string): number {
  // Every line before it begins with "data: ".
  const id = frame.lastIndexOf(ID);
  return id === -1 ? frame.lastIndexOf('\n', frame.length - 2) : id;
}

function isHighSurrogate(text: string): boolean {
  const code = text.charCodeAt(text.length - 1);
  return code >= 0xd800 && code <= 0xdbff;
}
