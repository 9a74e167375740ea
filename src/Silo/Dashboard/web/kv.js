// Where KV blocks lie: the pool of each worker, and the tiers below it.
import { bar, el, table, update } from './dom.js';
import { number, percent } from './format.js';
import { kvBar } from './workers.js';

export class Kv {
  constructor(main) {
    this.place = el('section', { class: 'panel' });
    this.sums = el('section', { class: 'grid tiles' });
    main.append(el('div', { class: 'head' }, el('h1', {}, 'KV tiers'), el('span', { class: 'muted' },
      'blocks of the pool, of host memory and of disks; counts since each worker started')), this.sums, this.place);
  }

  show({ state }) {
    const loads = state.workers.map((one) => one.worker.load).filter(Boolean);
    const tiers = loads.map((load) => load.tiers).filter(Boolean);
    const sum = (list, name) => list.reduce((total, one) => total + one[name], 0);
    const tile = (name, value, note, tone = '') => el('div', { class: 'panel tile' },
      el('div', { class: 'name' }, name), el('div', { class: `value ${tone}` }, value), el('div', { class: 'note' }, note));
    const bad = sum(tiers, 'bad_blocks');
    update(this.sums,
      tile('On devices', number(sum(loads, 'pinned_blocks') + sum(loads, 'evictable_blocks')),
        `of ${number(sum(loads, 'total_blocks'))} blocks; ${number(sum(loads, 'pinned_blocks'))} held`),
      tile('In host memory', number(sum(tiers, 'host_blocks')), sum(tiers, 'host_capacity')
        ? `of ${number(sum(tiers, 'host_capacity'))} blocks` : 'no worker has --kv-host-bytes'),
      tile('On disk', number(sum(tiers, 'disk_blocks')), sum(tiers, 'disk_capacity')
        ? `of ${number(sum(tiers, 'disk_capacity'))} blocks` : 'no worker has --kv-disk'),
      tile('Restored', number(sum(tiers, 'restored_blocks')), `${number(sum(tiers, 'spilled_blocks'))} spilled`),
      tile('Lost', number(sum(tiers, 'lost_blocks')), 'evicted without a copy'),
      tile('Bad', number(bad), 'found bad, computed again', bad > 0 ? 'bad' : ''));
    update(this.place, table(columns, state.workers.map((one) => ({ key: one.worker.id, ...one })),
      'No worker is linked to this silo.'));
  }
}

function tierBar(name, blocks, capacity) {
  if (!capacity) return el('span', { class: 'muted' }, 'none');
  return bar(`${blocks} of ${capacity} blocks`, [name, blocks / capacity]);
}

const columns = [
  { name: 'Worker', title: true, cell: ({ worker }) => worker.id },
  { name: 'Role', cell: ({ worker }) => worker.role },
  { name: 'Device', cell: ({ worker }) => kvBar(worker.load) },
  { name: 'Held', right: true, cell: ({ worker: { load } }) => number(load?.pinned_blocks) },
  { name: 'Cached', right: true, cell: ({ worker: { load } }) => number(load?.evictable_blocks) },
  { name: 'Free', right: true, cell: ({ worker: { load } }) => number(load?.free_blocks) },
  { name: 'Leases', right: true, cell: ({ worker: { load } }) => number(load?.leases) },
  { name: 'Host', cell: ({ worker: { load } }) => tierBar('host', load?.tiers?.host_blocks, load?.tiers?.host_capacity) },
  { name: 'Disk', cell: ({ worker: { load } }) => tierBar('disk', load?.tiers?.disk_blocks, load?.tiers?.disk_capacity) },
  { name: 'Spilled', right: true, cell: ({ worker: { load } }) => number(load?.tiers?.spilled_blocks) },
  { name: 'Restored', right: true, cell: ({ worker: { load } }) => number(load?.tiers?.restored_blocks) },
  { name: 'Lost', right: true, cell: ({ worker: { load } }) => number(load?.tiers?.lost_blocks) },
  { name: 'Computed instead', right: true, cell: ({ worker: { load } }) => number(load?.tiers?.recompute_chosen) },
  { name: 'Disk full', right: true, cell: ({ worker: { load } }) => percent(load?.tiers?.disk_capacity ? load.tiers.disk_blocks / load.tiers.disk_capacity : null) },
];
