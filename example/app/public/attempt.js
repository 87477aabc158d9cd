/** Tries something, shows in an element why it failed, and resolves with whether it succeeded. */
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
