// Longer than a publish may take. A connection on its way to a worker that is killed gets no answer, and no end.
const ANSWER_MS = 20_000;

/** Posts JSON with Egg's CSRF token; throws with the server's own words when it says no. */
export async function post(url, body = {}) {
  const response = await fetch(url, {
    method: 'POST',
    // The token's cookie goes along to another host, too; cookies know no ports.
    credentials: 'include',
    headers: { 'Content-Type': 'application/json', 'x-csrf-token': cookie('csrfToken') },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_MS),
  }).catch(({ name }) => {
    if (name === 'TimeoutError') throw new Error(`The server did not answer in ${ANSWER_MS / 1_000} s.`);
    throw new Error('The server cannot be reached; try again in a moment.');
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.message ?? `The server answered ${response.status}.`);
  return answer;
}

function cookie(name) {
  const pair = document.cookie.split('; ').find((each) => each.startsWith(`${name}=`));
  return pair === undefined ? '' : decodeURIComponent(pair.slice(name.length + 1));
}
