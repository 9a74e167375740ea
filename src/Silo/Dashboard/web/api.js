// What the page asks the silo. Where keys are in force it asks the operator for one, once a session of the tab.

const keyName = 'krewe-key';
let askForKey = async () => null;

/** Set by the page: shows a dialog and gives a key, or null. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

async function send(path, options = {}) {
  const key = sessionStorage.getItem(keyName);
  const headers = { ...options.headers };
  if (key) headers.Authorization = `Bearer ${key}`;
  return fetch(path, { ...options, headers, cache: 'no-store' });
}

async function read(response) {
  const text = await response.text();
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    body = null;
  }
  if (response.ok) return body;
  const error = new Error(body?.error?.message ?? `${response.status} ${response.statusText}`);
  error.status = response.status;
  throw error;
}

async function call(path, options) {
  let response = await send(path, options);
  if (response.status === 401 || response.status === 403) {
    const key = await askForKey(response.status === 403);
    if (key) {
      sessionStorage.setItem(keyName, key);
      response = await send(path, options);
    }
  }
  return read(response);
}

export const get = (path) => call(path);

export const post = (path, body = {}) => call(path, {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
});

export const forgetKey = () => sessionStorage.removeItem(keyName);
