// One request's life: where it was when, what moved it, and why it ended.
import { get, post } from './api.js';
import { act } from './dialogs.js';
import { chip, el, svg, table, update } from './dom.js';
import { bytes, ms, number, time, worker } from './format.js';

const kinds = {
  queue: 'waits for prefill', prefill: 'prefill', handoff: 'handoff of KV', decode: 'decode',
  migration: 'live migration', wait: 'waits for another attempt',
};

export class Timeline {
  constructor(main, id, choice) {
    this.id = id;
    this.choice = choice;
    this.ended = null;
    this.title = el('div', { class: 'head' });
    this.facts = el('section', { class: 'panel' });
    this.picture = el('section', { class: 'panel', 'aria-label': 'Timeline' });
    this.events = el('section', { class: 'panel' });
    main.append(this.title, this.facts, this.picture, this.events);
  }

  async show({ state }) {
    if (this.ended === this.id) return;
    let life;
    try {
      life = await get(`./api/requests/${encodeURIComponent(this.id)}?choice=${this.choice}`);
    } catch (error) {
      update(this.title, el('h1', {}, `Request ${this.id}`));
      update(this.facts, el('p', { class: 'empty' }, error.message));
      return;
    }
    const { request } = life;
    if (request.outcome) this.ended = this.id;
    update(this.title, ...head(life, state, this.choice));
    update(this.facts, facts(life));
    update(this.picture, el('h2', {}, 'Timeline ', el('span', { class: 'muted' }, 'since the gateway took it in')),
      picture(life, Math.max(300, this.picture.clientWidth - 32)), legend(life));
    update(this.events, el('h2', {}, 'Events'), el('div', { class: 'scroll' }, table(columns, request.steps, 'None.')));
  }
}

function head({ request }, state, choice) {
  const outcome = request.outcome ?? 'running';
  const tone = { running: 'accent', finished: 'good', failed: 'bad', cancelled: 'warn' }[outcome];
  const here = worker(request.plan?.decode_worker);
  const targets = state.workers.filter((one) => one.worker.role !== 'prefill' && one.worker.state === 'ready'
    && one.worker.id !== here).map((one) => one.worker.id);
  const move = el('button', {
    class: 'primary', disabled: targets.length === 0, 'data-focus': 'migrate',
    title: targets.length === 0 ? 'There is no other worker that could take it.' : null,
    onclick: () => act({
      title: `Migrate ${request.id}`,
      text: 'It moves while it decodes; its stream does not show it, and its tokens stay the same.',
      fields: [{ name: 'target', label: 'To', choices: targets }],
      confirm: 'Migrate now',
    }, (values) => post(`../v1/cluster/requests/${encodeURIComponent(request.id)}/migrate`, {
      target: values.target, choice,
    })),
  }, 'Migrate now');
  return [
    el('a', { href: '#/requests', 'data-focus': 'back' }, 'Requests'), el('h1', { class: 'mono' }, request.id),
    chip(outcome, tone), el('span', { class: 'grow' }), request.outcome ? null : move,
  ];
}

function facts({ request, segments }) {
  const where = (kind) => [...new Set(segments.filter((one) => one.kind === kind).map((one) => one.worker))].join(' → ');
  const attempts = request.steps.filter((step) => step.step === 3 && step.what.startsWith('planned')).length;
  const fact = (name, value) => el('div', {}, el('dt', {}, name), el('dd', {}, value));
  return el('dl', { class: 'wide facts' },
    fact('Arrived', time(request.arrived_at)),
    fact('Prompt', `${number(request.prompt_tokens)} tokens`),
    fact('From a cache', request.plan ? `${number(request.plan.prefix_hit_tokens)} tokens` : '–'),
    fact('Output', `${number(request.output_tokens)} tokens`),
    fact('Attempts', number(attempts)),
    fact('Migrations', number(request.migrations)),
    fact('KV moved', `${number(request.blocks_moved)} blocks, ${bytes(request.bytes_moved)}`),
    fact('Prefill on', where('prefill') || '–'),
    fact('Decode on', where('decode') || '–'),
    fact('End', request.error ? `${request.error.code}: ${request.error.message}` : request.finish_reason ?? request.phase),
    fact('Seed', String(request.seed)));
}

/** Lanes: the gateway, then each worker in the order of its first part. */
function picture({ segments, request }, width) {
  if (segments.length === 0) return el('p', { class: 'empty' }, 'Nothing is known of it yet.');
  const lanes = [...new Set(segments.map((segment) => segment.worker ?? 'gateway'))];
  const [left, right, row] = [Math.min(130, 16 + 8 * Math.max(...lanes.map((lane) => lane.length))), 20, 40];
  const end = Math.max(...segments.map((segment) => segment.end_ms), 0.001);
  const x = (at) => left + (at / end) * (width - left - right);
  const height = 30 + lanes.length * row;
  const ticks = (width < 600 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]).map((share) => share * end);
  const label = `Timeline of ${request.id}: ${segments.map((segment) =>
    `${segment.kind} on ${segment.worker ?? 'gateway'} from ${ms(segment.start_ms)} to ${ms(segment.end_ms)}`).join('; ')}`;
  return svg('svg', { class: 'timeline', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label },
    ticks.map((at, i) => [
      svg('line', { class: 'grid-line', x1: x(at), x2: x(at), y1: 22, y2: height }),
      svg('text', { x: x(at), y: 14, 'text-anchor': i === 0 ? 'start' : i === ticks.length - 1 ? 'end' : 'middle' },
        document.createTextNode(ms(at))),
    ]),
    lanes.map((lane, i) => svg('text', { class: 'lane', x: 0, y: 30 + i * row + 16 }, document.createTextNode(lane))),
    segments.map((segment) => {
      const lane = lanes.indexOf(segment.worker ?? 'gateway');
      // A migration runs beside the decode that it follows.
      const low = segment.kind === 'migration' || segment.kind === 'handoff';
      const rect = svg('rect', {
        class: `${segment.kind} ${segment.state}`, x: x(segment.start_ms),
        y: 30 + lane * row + (low ? 14 : 4), rx: 2, height: low ? 14 : 20,
        width: Math.max(2.5, x(segment.end_ms) - x(segment.start_ms)),
      });
      rect.append(svg('title', {}, document.createTextNode(
        `${kinds[segment.kind]}, attempt ${segment.epoch}: ${ms(segment.end_ms - segment.start_ms)}`
        + `${segment.state === 'failed' ? ' (came to nothing)' : ''}`)));
      return rect;
    }));
}

function legend({ segments }) {
  const total = new Map();
  for (const segment of segments)
    total.set(segment.kind, (total.get(segment.kind) ?? 0) + segment.end_ms - segment.start_ms);
  return el('div', { class: 'legend' }, [...total].map(([kind, sum]) => el('span', {},
    el('i', { class: `swatch s-${kind}` }), `${kinds[kind]} `, el('b', {}, ms(sum)))));
}

const columns = [
  { name: 'At', right: true, cell: (step) => ms(step.at_ms) },
  { name: 'Step', right: true, cell: (step) => String(step.step) },
  { name: 'Attempt', right: true, cell: (step) => String(step.epoch) },
  { name: 'Worker', cell: (step) => step.worker ?? 'gateway' },
  { name: 'What', full: true, cell: (step) => step.what.replace(/(\w)#[0-9a-f]{8,16}\b/g, '$1') },
];
