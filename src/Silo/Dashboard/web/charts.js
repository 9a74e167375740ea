// Charts over the ring of one-second snapshots.
import { el } from './dom.js';

/** The ring as this tab has it: the server keeps fifteen minutes, and so does this. */
export class History {
  constructor() {
    this.time = [];
    this.series = new Map();
  }

  get last() {
    return this.time.length ? this.time[this.time.length - 1] : 0;
  }

  add(news) {
    if (news.time.length === 0) return;
    const before = this.time.length;
    this.time.push(...news.time);
    for (const name of new Set([...this.series.keys(), ...Object.keys(news.series)])) {
      const column = this.series.get(name) ?? new Array(before).fill(null);
      column.push(...(news.series[name] ?? new Array(news.time.length).fill(null)));
      this.series.set(name, column);
    }
    const excess = this.time.length - 900;
    if (excess > 0) {
      this.time.splice(0, excess);
      for (const column of this.series.values()) column.splice(0, excess);
    }
  }

  of(name) {
    return this.series.get(name) ?? new Array(this.time.length).fill(null);
  }

  now(name) {
    const column = this.series.get(name);
    return column?.length ? column[column.length - 1] : null;
  }

  has(name) {
    return this.series.has(name);
  }
}

/** Hours and minutes; seconds too while the ring is young. */
const clocks = (plot, ticks) => ticks.map((tick) => new Date(tick * 1000).toLocaleTimeString([], {
  hour: '2-digit', minute: '2-digit', hour12: false,
  second: plot.scales.x.max - plot.scales.x.min < 180 ? '2-digit' : undefined,
}));

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** One chart: lines are [series name, label, colour 1..5]. */
export class Chart {
  constructor({ title, unit, lines, format, limit }) {
    this.options = { title, unit, lines, format, limit };
    this.place = el('div', { class: 'chart' });
    this.legend = el('div', { class: 'legend' });
    this.node = el('section', { class: 'panel', 'aria-label': title },
      el('h2', {}, title, ' ', el('span', { class: 'muted' }, unit)), this.place, this.legend);
    this.plot = null;
  }

  draw(history) {
    const { lines, format, limit } = this.options;
    const data = [history.time.map((at) => at / 1000), ...lines.map(([name]) => history.of(name))];
    if (limit) data.push(history.time.map(() => limit));
    if (!this.plot) this.create();
    if (this.plot) {
      if (this.place.clientWidth && this.plot.width !== this.place.clientWidth) this.resize();
      this.plot.setData(data);
    }
    this.legend.replaceChildren(...lines.map(([name, label, colour]) => el('span', {},
      el('i', { class: `swatch s-${colour}` }), `${label} `, el('b', {}, format(history.now(name))))),
    ...(limit ? [el('span', {}, 'limit ', el('b', {}, format(limit)))] : []));
  }

  /** Colours are the theme's: a new theme needs a new plot. */
  restyle() {
    this.plot?.destroy();
    this.plot = null;
  }

  destroy() {
    this.restyle();
  }

  resize() {
    this.plot.setSize({ width: this.place.clientWidth, height: this.place.clientHeight });
  }

  create() {
    const width = this.place.clientWidth;
    if (!width || !window.uPlot) return;
    const { lines, format, limit } = this.options;
    const axis = { stroke: css('--muted'), grid: { stroke: css('--line'), width: 1 }, ticks: { show: false } };
    const series = [{}, ...lines.map(([, label, colour]) => ({
      label, stroke: css(`--c${colour}`), width: 1.75, points: { show: false }, spanGaps: false,
      fill: lines.length === 1 ? `color-mix(in srgb, ${css(`--c${colour}`)} 14%, transparent)` : undefined,
    }))];
    if (limit) series.push({ label: 'limit', stroke: css('--bad'), width: 1, dash: [5, 5], points: { show: false } });
    this.plot = new window.uPlot({
      width,
      height: this.place.clientHeight,
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      legend: { show: false },
      scales: { x: { time: true }, y: { range: (u, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
      axes: [{ ...axis, size: 30, values: clocks }, { ...axis, size: 58, values: (u, ticks) => ticks.map((tick) => format(tick)) }],
      series,
    }, [[], ...series.slice(1).map(() => [])], this.place);
  }
}
