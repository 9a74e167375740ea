// Numbers and times for people.

export function number(value, digits = 0) {
  if (value === null || value === undefined) return '–';
  if (Math.abs(value) >= 1e6) return `${(value / 1e6).toFixed(1)} M`;
  if (Math.abs(value) >= 1e4) return `${(value / 1e3).toFixed(1)} k`;
  return value.toFixed(digits);
}

export function rate(value) {
  if (value === null || value === undefined) return '–';
  return number(value, Math.abs(value) < 10 ? 1 : 0);
}

export function ms(value) {
  if (value === null || value === undefined) return '–';
  if (value === 0) return '0';
  if (value >= 60000) return `${Math.floor(value / 60000)} min ${Math.round((value % 60000) / 1000)} s`;
  if (value >= 1000) return `${short(value / 1000, value >= 10000 ? 1 : 2)} s`;
  if (value >= 10) return `${Math.round(value)} ms`;
  return `${short(value, value >= 1 ? 1 : 2)} ms`;
}

/** Without zeros at its end: 2 s, not 2.00 s. */
const short = (value, digits) => String(Number(value.toFixed(digits)));

/** A worker's name without the number of its process. */
export const worker = (text) => text?.split('#')[0];

export function percent(share) {
  return share === null || share === undefined ? '–' : `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}

export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(value >= 100 || unit === 0 ? 0 : 1)} ${units[unit]}`;
}

export function time(text) {
  return new Date(text).toLocaleTimeString([], {
    hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false,
  });
}

export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86400).toFixed(1)} d`;
}
