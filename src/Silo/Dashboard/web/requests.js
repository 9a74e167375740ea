// Requests of this silo's gateway: those that run, and the newest that have ended.
import { get } from './api.js';
import { chip, el, table, update } from './dom.js';
import { ms, number, time } from './format.js';

export class Requests {
  constructor(main) {
    this.place = el('section', { class: 'panel' });
    this.filter = el('input', {
      type: 'search', placeholder: 'Find by id or state', 'aria-label': 'Find by id or state', 'data-focus': 'filter',
      oninput: () => this.draw(),
      onkeydown: (event) => {
        if (event.key === 'Enter' && this.filter.value.trim())
          location.hash = `#/requests/${encodeURIComponent(this.filter.value.trim())}`;
      },
    });
    this.rows = [];
    main.append(
      el('div', { class: 'head' }, el('h1', {}, 'Requests'), el('span', { class: 'grow' }), this.filter), this.place);
  }

  async show() {
    this.rows = (await get('./api/requests')).data;
    this.draw();
  }

  draw() {
    const wanted = this.filter.value.trim().toLowerCase();
    const rows = this.rows.filter((row) => !wanted || row.id.toLowerCase().includes(wanted)
      || row.state.includes(wanted) || row.kind.includes(wanted)).slice(0, 100).map((row) => ({ key: row.id, ...row }));
    update(this.place, table(columns, rows, wanted
      ? 'None of the recent ones. Enter opens an older one by its id.'
      : 'No request has come since this silo started.'));
  }
}

const tones = { running: 'accent', finished: 'good', failed: 'bad', refused: 'bad', invalid: 'warn', cancelled: 'warn' };

const columns = [
  {
    name: 'Request', title: true,
    cell: (row) => el('a', {
      class: 'mono', href: `#/requests/${encodeURIComponent(row.id)}`, 'data-focus': `r-${row.id}`,
    }, row.id.length > 26 ? `${row.id.slice(0, 25)}…` : row.id),
  },
  { name: 'Kind', cell: (row) => `${row.kind}${row.stream ? ', streamed' : ''}` },
  { name: 'State', cell: (row) => chip(row.code && row.state !== 'running' ? `${row.state}: ${row.code}` : row.state, tones[row.state]) },
  { name: 'Arrived', cell: (row) => time(row.arrived_at) },
  { name: 'Prompt', right: true, cell: (row) => number(row.prompt_tokens) },
  { name: 'Output', right: true, cell: (row) => number(row.output_tokens) },
  { name: 'TTFT', right: true, cell: (row) => ms(row.ttft_ms) },
  { name: 'A token', right: true, cell: (row) => ms(row.tpot_ms) },
  { name: 'Took', right: true, cell: (row) => ms(row.duration_ms) },
];
