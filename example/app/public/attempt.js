/** Does what may fail, and shows in an element why it did, until it succeeds; resolves with whether it did. */
export async function attempt(error, act) {
  try {
    await act();
    error.hidden = true;
    return true;
  } catch ({ message }) {
    error.textContent = message;
    error.hidden = false;
    return false;
  }
}
