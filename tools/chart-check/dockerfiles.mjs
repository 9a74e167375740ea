// What is checked of the Dockerfiles without Docker.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export function* mistakes(root, text, name) {
  const lines = text.replace(/\\\n/g, ' ').split('\n').map(l => l.trim()).filter(l => l && !l.startsWith('#'));
  const stages = new Set(), args = new Set();
  let user = null, entry = null;
  for (const line of lines) {
    const [, word, rest] = line.match(/^(\w+)\s+(.*)$/) ?? [];
    if (word === 'ARG') args.add(rest.split('=')[0]);
    if (word === 'FROM') {
      const [image, , stage] = rest.replace(/^--platform=\S+ /, '').split(/\s+/);
      if (stage) stages.add(stage);
      if (!stages.has(image) && (!/:[^:/]+$/.test(image) || /:latest$/.test(image))) yield `${image} has no version`;
      user = null;
    }
    if (word === 'USER') user = rest;
    if (word === 'ENTRYPOINT') entry = rest;
    if (word === 'ADD') yield 'ADD fetches and unpacks by guess; use COPY';
    if (word === 'RUN' && /apt-get install/.test(rest) && !/--no-install-recommends/.test(rest)) yield `apt-get: ${rest}`;
    if (word === 'RUN' && /apt-get install/.test(rest) && !/rm -rf \/var\/lib\/apt\/lists/.test(rest)) yield 'apt lists stay';
    if (word === 'COPY' && !/--from=/.test(rest))
      for (const path of rest.replace(/--\S+ /g, '').split(/\s+/).slice(0, -1))
        if (path !== '.' && !path.includes('*') && !existsSync(join(root, path))) yield `COPY ${path}: it is not there`;
    if (word === 'COPY' && /--from=/.test(rest)) {
      const from = rest.match(/--from=(\S+)/)[1];
      if (!stages.has(from) && !/:/.test(from)) yield `COPY --from=${from}: no such stage`;
    }
    if (word === 'ENV' && /PASSWORD|SECRET|TOKEN/.test(rest)) yield `ENV carries a secret: ${rest}`;
  }
  if (!/^\d+(:\d+)?$/.test(user ?? '') || /^0/.test(user)) yield `the last stage runs as ${user ?? 'root'}, not as a number`;
  if (!/^\[".*"\]$/.test(entry ?? '')) yield 'ENTRYPOINT is no JSON array: a shell would not pass signals on';
  if (!/GrainRuntime=Orleans/.test(text) && name.includes('silo')) yield 'the silo is not built with the Orleans host';
}

export function* check(root) {
  const folder = join(root, 'docker');
  for (const file of readdirSync(folder).filter(f => f.endsWith('Dockerfile')))
    for (const mistake of mistakes(root, readFileSync(join(folder, file), 'utf8'), file)) yield `${file}: ${mistake}`;
}

/** Each mistake beside a Dockerfile that makes it. */
export const controls = [
  ['FROM debian\nUSER 1\nENTRYPOINT ["x"]', 'no version'],
  ['FROM debian:12\nENTRYPOINT ["x"]', 'not as a number'],
  ['FROM debian:12\nUSER root\nENTRYPOINT ["x"]', 'not as a number'],
  ['FROM debian:12\nUSER 1\nENTRYPOINT x', 'JSON array'],
  ['FROM debian:12\nCOPY nowhere /x\nUSER 1\nENTRYPOINT ["x"]', 'not there'],
  ['FROM debian:12\nRUN apt-get install -y x\nUSER 1\nENTRYPOINT ["x"]', 'apt-get'],
];
