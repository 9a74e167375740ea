// Grains and silos: activations, calls, latency, errors.
import { get } from './api.js';
import { el, table, update } from './dom.js';
import { bytes, duration, ms, number, percent, rate } from './format.js';

export class Grains {
  constructor(main) {
    this.silo = el('section', { class: 'panel' });
    this.activations = el('section', { class: 'panel' });
    this.methods = el('section', { class: 'panel' });
    this.before = null;
    main.append(el('div', { class: 'head' }, el('h1', {}, 'Grains and silos')),
      el('div', { class: 'grid pools' }, this.silo, this.activations), this.methods);
  }

  async show({ state }) {
    const grains = await get('./api/grains');
    const now = { at: performance.now(), calls: new Map(grains.methods.map((one) => [`${one.grain}.${one.method}`, one.calls])) };
    const seconds = this.before ? (now.at - this.before.at) / 1000 : null;
    const rows = grains.methods.map((one) => {
      const key = `${one.grain}.${one.method}`;
      const before = this.before?.calls.get(key);
      return { key, ...one, rate: seconds && before !== undefined ? (one.calls - before) / seconds : null };
    });
    this.before = now;
    const fact = (name, value) => [el('dt', {}, name), el('dd', {}, value)];
    const calls = grains.methods.reduce((sum, one) => sum + one.calls, 0);
    const errors = grains.methods.reduce((sum, one) => sum + one.errors, 0);
    update(this.silo, el('h2', {}, `Silo ${state.silo_id}`), el('dl', { class: 'facts' },
      fact('grain host', grains.grain_host), fact('version', state.version), fact('up', duration(state.uptime_seconds)),
      fact('requests inside', number(state.inside)), fact('grain calls', number(calls)),
      fact('errors', errors ? `${number(errors)} (${percent(errors / calls)})` : '0'),
      fact('memory', bytes(state.memory_bytes)), fact('CPU', `${number(state.cpu_seconds, 1)} s`)),
    state.orleans_dashboard && el('p', {}, el('a', { href: `..${state.orleans_dashboard}` }, 'Orleans’ own dashboard')));
    update(this.activations, el('h2', {}, 'Activations'), table([
      { name: 'Grain', cell: ([name]) => name },
      { name: 'In memory', right: true, cell: ([, count]) => number(count) },
    ], Object.entries(grains.activations).sort(([a], [b]) => a.localeCompare(b)), 'No grain is in memory.'));
    update(this.methods, el('h2', {}, 'Calls to this silo’s grains'), table([
      { name: 'Method', title: true, cell: (row) => `${row.grain}.${row.method}` },
      { name: 'Calls', right: true, cell: (row) => number(row.calls) },
      { name: 'A second', right: true, cell: (row) => rate(row.rate) },
      { name: 'Mean time', right: true, cell: (row) => ms(row.mean_ms) },
      { name: 'Errors', right: true, cell: (row) => el('span', { class: row.errors ? 'bad' : '' }, number(row.errors)) },
    ], rows, 'No grain was called yet.'));
  }
}
