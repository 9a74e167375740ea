// Writes golden.json: tokenizer.json files of each family's make, and the ids that an independent implementation (the
// npm package @huggingface/tokenizers) gives for texts from every corner of Unicode.
//   npm install @huggingface/tokenizers@0.2.0 && node make.mjs path/to/models/tiny/tokenizer.json > golden.json
import { readFileSync } from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";

// Merges across what the families' patterns cut: digits, line breaks, blanks, contractions.
const extra = [
  "1 2", "12 3", "123 4", "3 4", "0 0", "Ġ 1", "Ġ 12", "Ċ Ċ", "ĊĊ Ċ", "Ġ Ċ", "! Ċ", "? !", "Ġ Ġ", "ĠĠ Ġ", "ĉ ĉ", "' s",
  "' t", "' L", "'L L", "Ġ (", "Ġ '", "c c", "a a", "aa aa", "Ã ©", "e Ì", "eÌ ģ", "Ñ ģ", "_ _", "Ġ _", ") ;", "= Ġ",
];
const tiny = JSON.parse(readFileSync(process.argv[2], "utf8"));
for (const merge of extra) {
  tiny.model.merges.push(merge);
  tiny.model.vocab[merge.replace(" ", "")] ??= 1024 + tiny.model.merges.length;
}

const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
const split = (Regex) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false });
const LLAMA3 = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}`
  + String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const QWEN2 = LLAMA3.replace(String.raw`\p{N}{1,3}`, String.raw`\p{N}`);
const special = (id, content) => (
  { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true });
const template = (begin, id) => ({
  type: "TemplateProcessing",
  single: [{ SpecialToken: { id: begin, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
  pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
  special_tokens: { [begin]: { id: begin, ids: [id], tokens: [begin] } },
});

// The bundled merges in SentencePiece's spelling, where they are ASCII: "Ġ" becomes "▁", bytes become <0xXX>.
function sentencePiece() {
  const plain = (token) => /^[!-~Ġ]+$/.test(token);
  const spell = (token) => token.replaceAll("Ġ", "▁");
  const vocab = { "<unk>": 0, "<s>": 1, "</s>": 2 };
  const add = (token) => { vocab[token] ??= Object.keys(vocab).length; };
  for (let b = 0; b < 256; b++) add(`<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
  for (let c = 33; c < 127; c++) add(String.fromCharCode(c));
  for (const c of "▁éöя語") add(c);
  const merges = tiny.model.merges.slice(0, -extra.length).map((merge) => merge.split(" "))
    .filter((parts) => parts.every(plain) && !parts[1].startsWith("Ġ"))
    .map((parts) => parts.map(spell));
  merges.push(["▁", "▁"], ["▁▁", "▁▁"]);
  merges.forEach((parts) => add(parts.join("")));
  return {
    type: "BPE", dropout: null, unk_token: "<unk>", continuing_subword_prefix: null, end_of_word_suffix: null,
    fuse_unk: true, byte_fallback: true, vocab, merges: merges.map((parts) => parts.join(" ")),
  };
}

const spDecoder = {
  type: "Sequence",
  decoders: [
    { type: "Replace", pattern: { String: "▁" }, content: " " }, { type: "ByteFallback" }, { type: "Fuse" },
    { type: "Strip", content: " ", start: 1, stop: 0 },
  ],
};
const spSpecial = [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")];

// What differs from models/tiny/tokenizer.json.
const kinds = {
  "GPT-2": { pre_tokenizer: { ...byteLevel, use_regex: true } },
  "Llama 3": {
    pre_tokenizer: { type: "Sequence", pretokenizers: [split(LLAMA3), byteLevel] },
    post_processor: { type: "Sequence", processors: [
      { type: "ByteLevel", add_prefix_space: true, trim_offsets: false, use_regex: true },
      template("<|begin|>", 1019)] },
  },
  "Qwen 2": {
    normalizer: { type: "NFC" },
    pre_tokenizer: { type: "Sequence", pretokenizers: [split(QWEN2), byteLevel] },
  },
  "Llama 2": {
    added_tokens: spSpecial,
    normalizer: { type: "Sequence", normalizers: [
      { type: "Prepend", prepend: "▁" }, { type: "Replace", pattern: { String: " " }, content: "▁" }] },
    pre_tokenizer: null, post_processor: template("<s>", 1), decoder: spDecoder, model: sentencePiece(),
  },
  "Mistral": {
    added_tokens: spSpecial,
    normalizer: null,
    pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false },
    post_processor: template("<s>", 1), decoder: spDecoder,
  },
};

const texts = [
  "", "a", " ", "  ", "\n", " \n ", "Hello, world!", "Hello  world", " leading", "trailing ", "tabs\tand\t\ttabs",
  "it's WE'LL don't 'tis I'd've o'clock ''''", "12345 1 12 123 1234 0x1F 3.14159 1,000,000", "١٢٣٤٥ Ⅷ ½ ² 四五",
  "naïve café résumé", "cafe\u0301 re\u0301sume\u0301 n\u0303 a\u0323\u0302", "Ω (ohm) Å (angstrom) ﬁ ﬀ ①",
  "привет мир", "你好，世界。今天天气很好", "かなカナ漢字交じり文", "한국어 \u1112\u1161\u11ab", "ภาษาไทย", "हिन्दी में",
  "مرحبا بالعالم", "שלום עולם", "😀😃 👩‍👩‍👧 🇩🇪 👍🏽", "𝐀𝐁𝐂 𐐨 𝟙𝟚𝟛 𒐀", "a\u00a0b\u2003c\u3000d",
  "line1\nline2\r\nline3\n\n\nline4   \n   x", "    if (x == 1) {\n\t\treturn `a${b}`; // ok\n    }\n",
  "https://example.org/a_b?c=d&e=%20#f", "a__b--c==d!!??...", "$5.00 €10 #tag @name", "\u0000\u0001\u007f\u0080",
  "x<|begin|>y<|end|> <|user|>z", "<s>a</s> b <unk>", "▁▁a▁b Ġx", "The quick brown fox jumps over the lazy dog.",
  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
  "The code of amber is 4821. The code of birch is 9137. What is the code of birch?",
];
const parts = [
  "the", " The", "code", " of", "it's", "'LL", " 12", "3456", " ", "  ", "\n", "\r\n", "\t", "!", "?!", " (", ")", "é",
  "e\u0301", "ß", "你好", "的", "かな", "한국", "привет", " мир", "٣٤", "½", "😀", "𝐀", "𝟙", "\u00a0", "\u3000", "_", "-",
];
let state = 12345;
const below = (limit) => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return (state >>> 8) % limit; };
for (let i = 0; i < 120; i++)
  texts.push(Array.from({ length: 1 + below(14) }, () => parts[below(parts.length)]).join(""));

const output = { extra, texts, kinds: {} };
for (const [name, changes] of Object.entries(kinds)) {
  const model = name === "Mistral" ? kinds["Llama 2"].model : changes.model;
  const file = { ...tiny, ...changes, ...(model ? { model } : {}) };
  const tokenizer = new Tokenizer(file, {});
  output.kinds[name] = {
    changes,
    ids: texts.map((text) => tokenizer.encode(text, { add_special_tokens: false }).ids),
    with_special: tokenizer.encode("Hello", { add_special_tokens: true }).ids,
  };
}

console.log(JSON.stringify(output));
