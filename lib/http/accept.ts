/** What an `Accept` or `Accept-Encoding` header names, in lower case, with its weights; NaN for one that is no number (RFC 9110, 12.4.2). */
export function weightsOf(header: string): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const range of header.split(',')) {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const weight = parameters.find((parameter) => /^q\s*=/.test(parameter))?.replace(/^q\s*=\s*/, '');
    weights.set(name, weight === undefined ? 1 : Number.parseFloat(weight));
  }
  return weights;
}
