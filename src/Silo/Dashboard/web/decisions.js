// What cluster control decided, and what operators did.
import { get } from './api.js';
import { chip, el, table, update } from './dom.js';
import { time } from './format.js';

export class Decisions {
  constructor(main) {
    this.decisions = el('section', { class: 'panel', 'aria-label': 'Decisions' });
    this.audit = el('section', { class: 'panel', 'aria-label': 'Operators' });
    this.kind = el('select', { 'aria-label': 'Kind', 'data-focus': 'filter', onchange: () => this.draw() },
      ['all', 'migrate', 'evict', 'scale', 'role', 'refuse'].map((kind) => el('option', {}, kind)));
    this.rows = { decisions: [], audit: [] };
    this.drawn = false;
    main.append(el('div', { class: 'head' }, el('h1', {}, 'Decisions'),
      el('span', { class: 'muted' }, 'of this silo and of its operators, newest first'), el('span', { class: 'grow' }),
      this.kind), this.decisions, this.audit);
  }

  async show() {
    const news = await Promise.all([this.read('decisions'), this.read('audit')]);
    if (this.drawn && !news.some(Boolean)) return;
    this.drawn = true;
    this.draw();
  }

  async read(name) {
    const last = this.rows[name].length ? this.rows[name][0].number : 0;
    const news = (await get(`../v1/cluster/${name}?after=${last}`)).data;
    this.rows[name] = [...news.reverse(), ...this.rows[name]].slice(0, 500);
    return news.length > 0;
  }

  draw() {
    const kind = this.kind.value;
    const rows = this.rows.decisions.filter((row) => kind === 'all' || row.kind === kind).slice(0, 200);
    update(this.decisions, el('h2', {}, 'What the cluster decided, and why'),
      table(decided, rows, 'Nothing has been decided yet: no pool needed it.'));
    update(this.audit, el('h2', {}, 'What operators did'),
      table(done, this.rows.audit.slice(0, 100), 'Nobody has operated this cluster since this silo started.'));
  }
}

/** What the body asked for, without what it left out. */
function details(text) {
  try {
    return Object.entries(JSON.parse(text ?? '{}')).filter(([, value]) => value !== null)
      .map(([name, value]) => `${name}=${value}`).join(' ');
  } catch {
    return text;
  }
}

const decided = [
  { name: 'No.', right: true, cell: (row) => String(row.number) },
  { name: 'At', cell: (row) => time(row.at) },
  { name: 'Kind', cell: (row) => chip(row.kind, { refuse: 'bad', evict: 'warn' }[row.kind]) },
  { name: 'What and why', full: true, cell: (row) => row.what },
];

const done = [
  { name: 'At', cell: (row) => time(row.at) },
  { name: 'Who', cell: (row) => row.key ?? 'no keys are configured' },
  { name: 'From', cell: (row) => row.address ?? 'this process' },
  {
    name: 'What', full: true,
    cell: (row) => el('span', { class: 'mono' }, row.path.replace('/v1/cluster/', ''), ` ${details(row.detail)}`),
  },
  { name: 'Answer', right: true, cell: (row) => chip(String(row.status), row.status < 400 ? 'good' : 'bad') },
];
