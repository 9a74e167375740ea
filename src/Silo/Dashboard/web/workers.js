// The topology, and what can be done to a worker.
import { post } from './api.js';
import { act } from './dialogs.js';
import { bar, chip, el, table, update } from './dom.js';
import { ms, number, percent } from './format.js';

export class Workers {
  constructor(main) {
    this.place = el('section', { class: 'panel' });
    this.note = el('span', { class: 'muted' });
    main.append(el('div', { class: 'head' }, el('h1', {}, 'Workers'), this.note), this.place);
  }

  show({ state }) {
    this.note.textContent = `routing policy ${state.policy}, grains on ${state.grain_host}`;
    const rows = state.workers.map((one) => ({ key: one.worker.id, ...one }));
    update(this.place, table(columns(state), rows, 'No worker is linked to this silo.'));
  }
}

export function stateChip({ wish, worker }) {
  if (wish === 'drain') return chip('draining', 'warn');
  if (wish === 'cordon') return chip('cordoned', 'warn');
  return chip(worker.state, worker.state === 'ready' ? 'good' : 'warn');
}

export function kvBar(load) {
  if (!load) return '–';
  const share = (count) => count / load.total_blocks;
  return bar(
    `${load.pinned_blocks} held, ${load.evictable_blocks} cached, ${load.free_blocks} free of ${load.total_blocks} blocks`,
    ['pinned', share(load.pinned_blocks)], ['evictable', share(load.evictable_blocks)]);
}

function columns(state) {
  return [
    { name: 'Worker', title: true, cell: ({ worker }) => el('span', { title: worker.numerics }, worker.id) },
    { name: 'Role', cell: ({ worker }) => worker.role },
    { name: 'State', cell: stateChip },
    { name: 'Model', cell: ({ model }) => model },
    { name: 'Running', right: true, cell: ({ worker }) => number(worker.load?.running_sequences) },
    { name: 'Waiting', right: true, cell: ({ worker }) => number(worker.load?.waiting_sequences) },
    { name: 'KV held', right: true, cell: ({ worker: { load } }) => percent(load && load.pinned_blocks / load.total_blocks) },
    { name: 'KV', cell: ({ worker }) => kvBar(worker.load) },
    { name: 'Tiers', cell: ({ worker: { load } }) => tiers(load?.tiers) },
    { name: 'Step', right: true, cell: ({ worker }) => ms(worker.load?.step_ms) },
    {
      name: 'Moved in / out', right: true,
      cell: ({ worker: { load } }) => `${number(load?.migrated_in)} / ${number(load?.migrated_out)}`,
    },
    { name: '', full: true, cell: (one) => actions(one, state) },
  ];
}

function tiers(report) {
  if (!report) return el('span', { class: 'muted' }, 'device only');
  const parts = [];
  if (report.host_capacity > 0) parts.push(`host ${percent(report.host_blocks / report.host_capacity)}`);
  if (report.disk_capacity > 0) parts.push(`disk ${percent(report.disk_blocks / report.disk_capacity)}`);
  return parts.join(', ') || 'none';
}

function actions({ wish, worker }, state) {
  const id = worker.id;
  const path = (action) => `../v1/cluster/workers/${encodeURIComponent(id)}/${action}`;
  const button = (name, run) => el('button', { class: 'small', 'data-focus': `${name}-${id}`, onclick: run }, name);
  const others = state.workers.filter((one) => one.worker.id !== id && one.wish === 'serve'
    && (one.worker.role === worker.role || one.worker.role === 'mixed')).length;
  const last = others === 0
    ? el('p', { class: 'bad' }, `No other worker serves ${worker.role}: requests will be refused meanwhile.`)
    : null;
  return el('div', { class: 'actions' },
    wish === 'serve'
      ? button('Cordon', () => act({
        title: `Cordon ${id}`, confirm: 'Cordon', danger: others === 0,
        text: ['It takes no new work; what runs there stays until it ends.', last],
      }, () => post(path('cordon'))))
      : button('Uncordon', () => act({
        title: `Uncordon ${id}`, confirm: 'Uncordon', text: 'It takes new work again.',
      }, () => post(path('uncordon')))),
    wish !== 'drain' && button('Drain', () => act({
      title: `Drain ${id}`, confirm: 'Drain', danger: others === 0,
      text: ['It takes no new work, and its running sequences move to other workers, live. It stays linked.', last],
    }, () => post(path('drain')))),
    button('Role', () => act({
      title: `Switch the role of ${id}`, confirm: 'Switch role', danger: others === 0,
      text: [`It is ${worker.role} now. It is emptied first, then comes back with the new role.`, last],
      fields: [
        {
          name: 'role', label: 'New role',
          choices: ['prefill', 'decode', 'mixed'].filter((role) => role !== worker.role),
        },
        { name: 'grace', label: 'Seconds it may take', type: 'number', value: 25, min: 1 },
      ],
    }, (values) => post(path('role'), { role: values.role, grace_seconds: Number(values.grace) }))));
}
