// The page: which view is shown, what is asked for each second, keys and theme.
import { get, onKeyNeeded } from './api.js';
import { History } from './charts.js';
import { ask } from './dialogs.js';
import { el } from './dom.js';
import { Overview } from './overview.js';
import { Workers } from './workers.js';
import { Requests } from './requests.js';
import { Timeline } from './timeline.js';
import { Kv } from './kv.js';
import { Decisions } from './decisions.js';
import { Grains } from './grains.js';

const main = document.getElementById('main');
const link = document.getElementById('link');
const notice = document.getElementById('notice');
const pages = ['overview', 'workers', 'requests', 'kv', 'decisions', 'grains'];
const views = { overview: Overview, workers: Workers, requests: Requests, kv: Kv, decisions: Decisions, grains: Grains };

/** What every view sees: the newest state and the ring. */
const world = { state: null, history: new History() };
let view = null;

function route() {
  const [page, id, choice] = location.hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);
  const name = pages.includes(page) ? page : 'overview';
  for (const tab of document.querySelectorAll('nav a')) {
    if (tab.dataset.page === name) tab.setAttribute('aria-current', 'page');
    else tab.removeAttribute('aria-current');
  }
  view?.leave?.();
  main.replaceChildren();
  view = name === 'requests' && id ? new Timeline(main, id, Number(choice ?? 0)) : new views[name](main);
  document.title = `Krewe: ${document.querySelector(`nav a[data-page="${name}"]`).textContent}`;
  show();
}

async function show() {
  if (!world.state) return;
  try {
    await view.show(world);
  } catch (error) {
    complain(error);
  }
}

function complain(error) {
  notice.textContent = error.message;
  notice.hidden = false;
}

async function tick() {
  try {
    const [state, news] = await Promise.all([
      get('./api/state'), get(`./api/history?after=${world.history.last}`),
    ]);
    world.state = state;
    world.history.add(news);
    notice.hidden = true;
    link.textContent = state.draining ? 'draining' : 'live';
    link.className = `chip ${state.draining ? 'warn' : 'good'}`;
    document.getElementById('identity').textContent = `${state.model} · ${state.silo_id} · ${state.version}`;
    await show();
  } catch (error) {
    link.textContent = 'no answer';
    link.className = 'chip bad';
    complain(new Error(`The silo does not answer: ${error.message}. What is shown may be old.`));
  }
  setTimeout(tick, document.hidden ? 5000 : 1000);
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem('krewe-theme', theme);
  view?.restyle?.();
  show();
}

function switchTheme() {
  setTheme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
}

function showKeys() {
  const row = (key, what) => el('p', {}, el('kbd', {}, key), ` ${what}`);
  ask({
    title: 'Keys',
    text: [
      ...pages.map((page, i) => row(String(i + 1), document.querySelector(`nav a[data-page="${page}"]`).textContent)),
      row('/', 'find a request or filter'), row('t', 'light or dark'), row('?', 'this list'), row('Esc', 'close a dialog'),
    ],
  });
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches('input, select, textarea') || document.getElementById('dialog').open) return;
  const page = pages[Number(event.key) - 1];
  if (page) location.hash = `#/${page}`;
  else if (event.key === 't') switchTheme();
  else if (event.key === '?') showKeys();
  else if (event.key === '/') {
    const filter = main.querySelector('[data-focus="filter"]');
    if (!filter) return;
    event.preventDefault();
    filter.focus();
  }
});

document.getElementById('theme').addEventListener('click', switchTheme);
document.getElementById('help').addEventListener('click', showKeys);
window.addEventListener('hashchange', route);
window.addEventListener('resize', () => show());

onKeyNeeded(async (isWrongRole) => {
  const values = await ask({
    title: 'This cluster asks for a key',
    text: isWrongRole
      ? 'The key you gave may not operate the cluster. Give one with the operator role.'
      : 'Give an API key with the operator role. It stays in this tab.',
    fields: [{ name: 'key', label: 'API key', type: 'password' }],
    confirm: 'Use it',
  });
  return values?.key || null;
});

setTheme(localStorage.getItem('krewe-theme')
  ?? (window.matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'));
route();
tick();
