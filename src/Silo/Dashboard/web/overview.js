// How the cluster fares, as clients see it, and pool by pool.
import { bar, el, update } from './dom.js';
import { Chart } from './charts.js';
import { ms, number, percent, rate } from './format.js';

const roles = ['prefill', 'decode', 'mixed'];

export class Overview {
  constructor(main) {
    this.tiles = el('section', { class: 'grid tiles', 'aria-label': 'Now' });
    this.pools = el('section', { class: 'grid pools', 'aria-label': 'Pools' });
    this.grid = el('div', { class: 'grid charts' });
    this.charts = null;
    main.append(el('div', { class: 'head' }, el('h1', {}, 'Overview'), el('span', { class: 'muted' },
      'last 15 minutes, one value a second')), this.tiles, this.pools, this.grid);
  }

  show({ state, history }) {
    if (!this.charts) this.build(state);
    update(this.tiles, tiles(state, history));
    update(this.pools, roles.filter((role) => history.now(`${role}.ready`) !== null)
      .map((role) => pool(role, history, state)));
    for (const chart of this.charts) chart.draw(history);
  }

  restyle() {
    for (const chart of this.charts ?? []) chart.restyle();
  }

  leave() {
    for (const chart of this.charts ?? []) chart.destroy();
  }

  build(state) {
    const present = (name) => roles.filter((role) => state.workers.some((one) => one.worker.role === role))
      .map((role, i) => [`${role}.${name}`, role, [4, 1, 2][roles.indexOf(role)] ?? i + 1]);
    this.charts = [
      new Chart({
        title: 'Requests', unit: 'a second', format: rate,
        lines: [['good', 'good', 1], ['finished', 'finished', 4], ['refused', 'refused', 3], ['failed', 'failed', 5]],
      }),
      new Chart({
        title: 'Time to first token', unit: 'last 10 s', format: ms, limit: state.ttft_slo_ms,
        lines: [['ttft_p50', 'p50', 1], ['ttft_p95', 'p95', 2]],
      }),
      new Chart({
        title: 'Gap between tokens', unit: 'last 10 s', format: ms, limit: state.tpot_slo_ms,
        lines: [['itl_p50', 'p50', 1], ['itl_p99', 'p99', 2]],
      }),
      new Chart({
        title: 'Queue', unit: 'requests', format: (value) => number(value),
        lines: [['queued', 'without a token', 3], ['inside', 'inside', 4]],
      }),
      new Chart({
        title: 'Tokens', unit: 'a second', format: rate,
        lines: [['prompt_tokens', 'prompt', 4], ['cached_tokens', 'of it cached', 2], ['output_tokens', 'output', 1]],
      }),
      new Chart({ title: 'Workers busy', unit: 'share of time', format: percent, lines: present('busy') }),
      new Chart({ title: 'KV in use', unit: 'share of blocks', format: percent, lines: present('kv_usage') }),
      new Chart({
        title: 'Waiting on workers', unit: 'sequences', format: (value) => number(value), lines: present('waiting'),
      }),
      new Chart({ title: 'Live migrations', unit: 'a second', format: rate, lines: [['migrations', 'committed', 2]] }),
    ];
    this.grid.replaceChildren(...this.charts.map((chart) => chart.node));
  }
}

function tile(name, value, unit, note, tone = '') {
  return el('div', { class: 'panel tile' }, el('div', { class: 'name' }, name),
    el('div', { class: `value ${tone}` }, value, unit && el('small', {}, unit)), el('div', { class: 'note' }, note));
}

function tiles(state, history) {
  const now = (name) => history.now(name);
  const tone = (value, limit) => (value !== null && limit ? (value > limit ? 'bad' : 'good') : '');
  const slo = (limit) => (limit ? `limit ${ms(limit)}` : 'no limit set');
  const ready = state.workers.filter((one) => one.worker.state === 'ready').length;
  return [
    tile('Goodput', rate(now('good')), 'req/s', `${rate(now('finished'))} finished a second`),
    tile('TTFT p95', ms(now('ttft_p95')), '', `p50 ${ms(now('ttft_p50'))}, ${slo(state.ttft_slo_ms)}`,
      tone(now('ttft_p95'), state.ttft_slo_ms)),
    tile('ITL p99', ms(now('itl_p99')), '', `p50 ${ms(now('itl_p50'))}, ${slo(state.tpot_slo_ms)}`,
      tone(now('itl_p99'), state.tpot_slo_ms)),
    tile('Queue', number(state.queued), '', `of ${number(state.inside)} inside`,
      state.queued > 50 ? 'bad' : state.queued > 10 ? 'warn' : ''),
    tile('Output', rate(now('output_tokens')), 'tok/s', `${rate(now('prompt_tokens'))} prompt tok/s`),
    tile('Refused', rate(now('refused')), '/s', `${rate(now('failed'))} failed a second`,
      now('refused') > 0 || now('failed') > 0 ? 'bad' : ''),
    tile('Workers', `${ready}`, `of ${state.workers.length}`, 'ready', ready < state.workers.length ? 'warn' : ''),
  ];
}

function pool(role, history, state) {
  const now = (name) => history.now(`${role}.${name}`);
  const all = state.workers.filter((one) => one.worker.role === role).length;
  const tokens = role === 'decode' ? now('decode_tokens') : now('prefill_tokens');
  return el('section', { class: 'panel', 'aria-label': `Pool ${role}` },
    el('h2', {}, `${role} pool `, el('span', { class: 'muted' }, `${now('ready')} of ${all} ready`)),
    el('dl', { class: 'facts' },
      fact('running', number(now('running'))),
      fact('waiting', `${number(now('waiting'))} (${number(now('waiting_tokens'))} tokens)`),
      fact(role === 'decode' ? 'decoded' : 'prefilled', `${rate(tokens)} tok/s`),
      role === 'mixed' ? fact('decoded', `${rate(now('decode_tokens'))} tok/s`) : [],
      fact('KV in use', percent(now('kv_usage'))),
      bar(`KV in use: ${percent(now('kv_usage'))}`, ['pinned', now('kv_usage') ?? 0]),
      fact('busy', percent(now('busy'))),
      bar(`busy: ${percent(now('busy'))}`, ['busy', now('busy') ?? 0])));
}

const fact = (name, value) => [el('dt', {}, name), el('dd', {}, value)];
