// Runs a GGUF file on llama.cpp (node-llama-cpp, CPU) and prints the fields of `krewe bench engine --json`.
//   node llama.mjs MODEL.gguf [threads 2] [prompt tokens 512] [output tokens 64] [concurrencies 1,8,32] [repeats 3]
// Same rules as krewe's engine layer: prefill ends when the last sequence has its first token; decode is measured
// from then on, while all sequences decode, over (output tokens - 1) steps of the sequence that came last.
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

const BATCH_TOKENS = 512;

function refuse(message) {
  console.error(`llama.mjs: ${message}`);
  process.exit(2);
}

function count(text, name, min) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min) {
    refuse(`${name} is '${text}'; it must be a whole number of at least ${min}.`);
  }
  return value;
}

const [model, ...rest] = process.argv.slice(2);
if (!model || rest.length > 5) {
  refuse("usage: node llama.mjs MODEL.gguf [threads] [prompt tokens] [output tokens] [concurrencies] [repeats]");
}

const threads = count(rest[0] ?? "2", "threads", 1);
const promptTokens = count(rest[1] ?? "512", "prompt tokens", 1);
const outputTokens = count(rest[2] ?? "64", "output tokens", 2);
const concurrencies = (rest[3] ?? "1,8,32").split(",").map((text) => count(text, "concurrency", 1));
const repeats = count(rest[4] ?? "3", "repeats", 1);

// Ids of the byte tokens of tools/make_model.py: neither special tokens nor fillers.
function prompt(sequence) {
  return Array.from({ length: promptTokens }, (_, i) => 2 + ((i * 37 + sequence * 101) % 256));
}

// Times one round; steps[] are the gaps between tokens of the sequence whose first token came last.
async function measure(sequences) {
  const steps = [];
  let waiting = sequences.length;
  let opener = null;
  let previous = 0;
  let prefillMs = 0;
  const begun = performance.now();

  async function follow(sequence, index) {
    let isFirst = true;
    const options = { temperature: 0, yieldEogToken: true };
    for await (const _ of sequence.evaluate(prompt(index), options)) {
      const now = performance.now();
      if (isFirst) {
        isFirst = false;
        if (--waiting === 0) {
          opener = index;
          prefillMs = now - begun;
          previous = now;
        }
      } else if (opener === index) {
        steps.push(now - previous);
        previous = now;
      }

      if (steps.length >= outputTokens - 1) return;
    }
  }

  await Promise.all(sequences.map(follow));
  if (steps.length < outputTokens - 1) throw new Error("The streams ended before the measurement did.");
  return { prefillMs, steps, decodeMs: steps.reduce((sum, ms) => sum + ms, 0) };
}

function figures(concurrency, rounds) {
  const prefillMs = Math.min(...rounds.map((round) => round.prefillMs));
  const best = rounds.reduce((a, b) => (b.decodeMs < a.decodeMs ? b : a));
  const sorted = [...best.steps].sort((a, b) => a - b);
  return {
    layer: "llama.cpp",
    concurrency,
    prefill_tokens_per_second: (concurrency * promptTokens * 1e3) / prefillMs,
    decode_tokens_per_second: (concurrency * best.steps.length * 1e3) / best.decodeMs,
    step_p50_ms: sorted[Math.floor(sorted.length / 2)],
    // What llama.cpp does not tell from outside.
    gflops: null,
    gigabytes_per_second: null,
    allocated_bytes_per_step: null,
  };
}

const llama = await getLlama({ gpu: false, build: "never", maxThreads: threads, logLevel: LlamaLogLevel.error });
const loaded = await llama.loadModel({ modelPath: model });
const results = [];
for (const concurrency of concurrencies) {
  const rounds = [];
  // The first round, which touches memory first, does not count.
  for (let round = 0; round <= repeats; round++) {
    // A context of its own: sequences must not find the tokens of the round before.
    const context = await loaded.createContext({
      // Of each sequence: its prompt, its answer, and what it decodes while the others are in prefill.
      contextSize: promptTokens + 2 * outputTokens + concurrency * Math.ceil(promptTokens / BATCH_TOKENS) + 64,
      sequences: concurrency,
      batchSize: BATCH_TOKENS,
      threads,
    });
    const sequences = Array.from({ length: concurrency }, () => context.getSequence());
    const measured = await measure(sequences);
    if (round > 0) rounds.push(measured);
    await context.dispose();
  }

  results.push(figures(concurrency, rounds));
}

console.log(JSON.stringify({
  model: model.split("/").at(-1),
  threads,
  prompt_tokens: promptTokens,
  output_tokens: outputTokens,
  step_tokens: BATCH_TOKENS,
  repeats,
  results,
}, null, 2));
await llama.dispose();
