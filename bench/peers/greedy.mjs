// Greedy tokens of llama.cpp and of krewe on the same weights, prompt by prompt; exit code 1 where they differ without
// a tie. A tie is a difference of the two likeliest logits that two correct orders of summation may exchange.
//   node greedy.mjs MODEL_DIR [prompts 20] [output tokens 64] [threads 2]
// MODEL_DIR holds model.gguf beside the Hugging Face files; both programs keep keys and values in F32.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

// Of a logit of size 1 to 10: about a thousand units in the last place, what a chain of some thousand sums may err by.
const TIE_LOGITS = 1e-3;

const [directory, ...rest] = process.argv.slice(2);
if (!directory || rest.length > 3) {
  console.error("usage: node greedy.mjs MODEL_DIR [prompts] [output tokens] [threads]");
  process.exit(2);
}

const [prompts, outputTokens, threads] = [20, 64, 2].map((usual, i) => Number(rest[i] ?? usual));
const krewe = process.env.KREWE ?? fileURLToPath(new URL("../../krewe", import.meta.url));

// Lengths from 3 to 512, ids of the byte tokens of tools/make_model.py.
const promptOf = (index) => Array.from(
  { length: 3 + Math.floor((509 * index * index) / Math.max(1, (prompts - 1) ** 2)) },
  (_, i) => 2 + ((i * i * 7 + i * 31 + index * 101) % 256));

function ofKrewe(all) {
  const ids = all.flatMap((prompt) => ["--prompt-ids", prompt.join(",")]);
  const lines = execFileSync(krewe, [
    "generate", "--model", directory, "--temperature", "0", "--ignore-eos", "--max-tokens", `${outputTokens}`,
    "--threads", `${threads}`, "--kv-format", "f32", "--json", ...ids,
  ], { encoding: "utf8", maxBuffer: 1 << 26 }).trim().split("\n");
  const answers = lines.map((line) => JSON.parse(line));
  if (answers.length !== all.length) throw new Error(`krewe gave ${answers.length} answers to ${all.length} prompts.`);
  return answers;
}

async function ofLlama(context, prompt) {
  const sequence = context.getSequence();
  const tokens = [];
  for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    tokens.push(token);
    if (tokens.length === outputTokens) break;
  }

  sequence.dispose();
  return tokens;
}

// How far the likeliest logit behind some tokens is above the second: the logarithm of the ratio of probabilities.
async function gapBehind(context, tokens) {
  const sequence = context.getSequence();
  const options = { temperature: 0, yieldEogToken: true };
  let gap = null;
  for await (const { probabilities } of sequence.evaluateWithMetadata(tokens, { probabilities: true }, options)) {
    const [first, second] = [...probabilities.values()].sort((a, b) => b - a);
    gap = Math.log(first / second);
    break;
  }

  sequence.dispose();
  return gap;
}

const all = Array.from({ length: prompts }, (_, i) => promptOf(i));
const answers = ofKrewe(all);
const llama = await getLlama({ gpu: false, build: "never", maxThreads: threads, logLevel: LlamaLogLevel.error });
const model = await llama.loadModel({ modelPath: `${directory}/model.gguf` });
const context = await model.createContext({
  contextSize: 512 + outputTokens + 64, sequences: 1, batchSize: 512, threads, flashAttention: false,
  experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32",
});

let [equal, ties] = [0, 0];
for (let i = 0; i < prompts; i++) {
  const tokens = await ofLlama(context, all[i]);
  const own = answers[i].token_ids;
  const name = `prompt ${i} (${all[i].length} tokens)`;
  const differs = tokens.findIndex((token, at) => token !== own[at]);
  if (differs < 0 && own.length === tokens.length) {
    equal++;
    console.log(`${name}: ${tokens.length} tokens equal`);
    continue;
  }

  const gap = await gapBehind(context, [...all[i], ...tokens.slice(0, differs)]);
  if (gap < TIE_LOGITS) ties++;
  console.log(`${name}: ${gap < TIE_LOGITS ? "tie" : "DIFFERS"} at output ${differs}, logit gap ${gap.toExponential(2)}`
    + ` (llama.cpp ${tokens[differs]}, krewe ${own[differs]})`);
}

console.log(`${equal} of ${prompts} equal, ${ties} broken ties, ${prompts - equal - ties} differ; krewe `
  + answers[0].numerics);
process.exit(equal + ties === prompts ? 0 : 1);
