// Checks helm/krewe without a cluster: schema, rendering, Kubernetes' types, own rules, the program's options, Dockerfiles.
//   node check.mjs [--krewe DLL]     exit code 0: all held; 1: the mistakes are printed
// Rendering needs Go with Debian's golang-github-masterminds-sprig-dev and golang-k8s-sigs-yaml-dev, or helm.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv';
import yaml from 'js-yaml';
import * as docker from './dockerfiles.mjs';
import { controls } from './controls.mjs';
import { optionsOf, rules } from './rules.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const chart = join(root, 'helm', 'krewe');
const scratch = mkdtempSync(join(tmpdir(), 'chart-check-'));
const failures = [], said = [];
const fail = text => failures.push(text);
const runs = (program, ...args) => spawnSync(program, args, { encoding: 'utf8', maxBuffer: 64 << 20 });
const isThere = program => !runs(program, 'version').error;

// Secrets and claims that a release's owner brings.
const outside = new Set(['krewe-keys', 'krewe-scrape', 'krewe-api-tls', 'krewe-link-tls', 'krewe-redis-auth', 'models']);

function findRenderers() {
  const found = [];
  if (isThere('go') && existsSync('/usr/share/gocode/src/github.com/Masterminds/sprig')) {
    const program = join(scratch, 'render');
    execFileSync('go', ['build', '-o', program, join(here, 'render.go')], {
      env: { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOFLAGS: '', GOCACHE: join(scratch, 'go') },
    });
    found.push(['render.go', file => runs(program, chart, '-f', file, '--name', 'demo', '--namespace', 'llm')]);
  }
  if (isThere('helm')) found.push(['helm', file => runs('helm', 'template', 'demo', chart, '-n', 'llm', '-f', file)]);
  return found;
}

function mergeInto(base, over) {
  for (const [key, value] of Object.entries(over ?? {})) {
    const both = [base[key], value].every(v => v && typeof v === 'object' && !Array.isArray(v));
    if (value === null) delete base[key]; else if (both) mergeInto(base[key], value); else base[key] = value;
  }
  return base;
}

const defaults = () => yaml.load(readFileSync(join(chart, 'values.yaml'), 'utf8'));
const schema = new Ajv({ allErrors: true, allowUnionTypes: true, strict: false })
  .compile(JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8')));
const wordsOf = errors => errors.map(e =>
  `${e.instancePath} ${e.message} ${JSON.stringify(e.params)}`).join('; ');

async function typesOf(docs) {
  const wrong = [];
  for (const d of docs) {
    // Types of other projects (Prometheus, KEDA, Gateway API) are not in the package.
    if (/monitoring\.coreos|keda\.sh|gateway\.networking/.test(d.apiVersion)) continue;
    const { [d.kind]: Type } = await import(`kubernetes-models/${d.apiVersion}/${d.kind}`);
    try { new Type(d).validate(); } catch (e) { wrong.push(`${d.kind} ${d.metadata?.name}: ${e.message}`); }
  }
  return wrong;
}

async function checkRendering(name, values, renderers) {
  if (!schema(mergeInto(defaults(), values))) fail(`${name}: the schema refuses it: ${wordsOf(schema.errors)}`);
  const file = join(scratch, 'values.yaml');
  writeFileSync(file, yaml.dump(values));
  const outputs = [];
  for (const [program, render] of renderers) {
    const result = render(file);
    if (result.status !== 0) { fail(`${name}: ${program}: ${result.stderr.trim()}`); continue; }
    const docs = yaml.loadAll(result.stdout).filter(d => d);
    // A password is drawn anew each time; a test's pod is a hook.
    outputs.push(JSON.stringify(docs.map(d => d.kind === 'Secret' ? { ...d, data: null } : d)
      .sort((a, b) => `${a.kind}${a.metadata.name}`.localeCompare(`${b.kind}${b.metadata.name}`))));
    for (const mistake of await typesOf(docs)) fail(`${name}: ${mistake}`);
    for (const [rule, check] of Object.entries(rules))
      for (const mistake of check(docs, outside)) fail(`${name}: ${mistake} (${rule})`);
    for (const option of optionsOf(docs)) options.push(option);
    if (outputs.length === 1) rendered.push([name, docs]);
  }
  if (outputs.length === 2 && outputs[0] !== outputs[1]) fail(`${name}: helm and render.go differ`);
}

function checkRefusals(renderers) {
  for (const { because, values, says } of yaml.load(readFileSync(join(here, 'refused.yaml'), 'utf8'))) {
    let words = schema(mergeInto(defaults(), values)) ? '' : wordsOf(schema.errors);
    if (!words && renderers.length > 0) {
      const file = join(scratch, 'refused.yaml');
      writeFileSync(file, yaml.dump(values));
      const result = renderers[0][1](file);
      words = result.status === 0 ? '' : result.stderr;
    }
    if (!words && renderers.length === 0) continue;
    if (!words.includes(says)) fail(`'${because}' was not refused with '${says}' but with '${words}'`);
  }
}

function checkControls() {
  const [, docs] = rendered.find(([name]) => name === 'values.yaml') ?? [];
  if (!docs) return;
  for (const rule of Object.keys(rules)) {
    const broken = structuredClone(docs);
    if (!controls[rule]) { fail(`the rule '${rule}' has no control`); continue; }
    controls[rule](broken);
    if ([...rules[rule](broken, outside)].length === 0) fail(`the rule '${rule}' does not see what its control breaks`);
  }
  for (const [text, says] of docker.controls)
    if (![...docker.mistakes(root, text, 'x')].some(m => m.includes(says))) fail(`no mistake '${says}' was seen in: ${text}`);
}

function checkOptions() {
  const at = process.argv.indexOf('--krewe');
  const dll = at > 0 ? process.argv[at + 1] : join(root, 'artifacts', 'bin', 'Cli', 'release', 'krewe.dll');
  if (!existsSync(dll)) { said.push(`options were NOT compared with the program's: no ${dll}`); return; }
  for (const command of ['silo', 'worker']) {
    const help = runs('dotnet', dll, command, '--help').stdout;
    const known = new Set(help.match(/--[a-z][a-z-]*/g));
    if (!known.has('--model')) { fail(`'krewe ${command} --help' says nothing`); continue; }
    for (const option of new Set(options.filter(o => o[0] === command).map(o => o[1])))
      if (!known.has(option)) fail(`the chart gives 'krewe ${command}' the option ${option}, which it does not have`);
    if (known.has('--no-such-option')) fail('the control option is known');
  }
}

const options = [], rendered = [];
const renderers = findRenderers();
if (renderers.length === 0)
  said.push('templates were NOT rendered: neither helm nor Go with golang-github-masterminds-sprig-dev is here');
else if (!renderers.some(([name]) => name === 'helm')) said.push('helm is not here: rendered by render.go alone');
const cases = [['values.yaml', {}]];
for (const folder of ['examples', 'ci'])
  for (const file of existsSync(join(chart, folder)) ? readdirSync(join(chart, folder)) : [])
    if (file.endsWith('.yaml')) cases.push([`${folder}/${file}`, yaml.load(readFileSync(join(chart, folder, file), 'utf8'))]);
for (const [name, values] of cases) await checkRendering(name, values, renderers);
checkRefusals(renderers);
checkControls();
checkOptions();
for (const mistake of docker.check(root)) fail(mistake);
if (isThere('helm')) {
  const lint = runs('helm', 'lint', chart);
  if (lint.status !== 0) fail(lint.stdout);
}
rmSync(scratch, { recursive: true });

const objects = rendered.reduce((sum, [, docs]) => sum + docs.length, 0);
for (const line of said) console.log(`chart: ${line}`);
for (const line of failures) console.error(`chart: ${line}`);
console.log(`chart: ${cases.length} sets of values, ${objects} objects, ${new Set(options.map(o => o[0] + o[1])).size} options `
  + `of the program; ${failures.length} mistakes`);
process.exit(failures.length > 0 ? 1 : 0);
