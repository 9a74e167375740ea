"""Token ids of sample texts by this folder's own tokenizer, for the C# tests.   usage: ids.py out.json

Decimal digits are the only numbers and there are no other symbols that Python's re and \\p{N} see differently.
"""
import json, pathlib, random, sys
from bpe import SPECIAL, Tokenizer

HERE = pathlib.Path(__file__).parent
TEXTS = [
    "", " ", "  ", "\n", "a", "Hello", "Hello! Count from 7 to 43, then say it's 4821.", "The code of amber is 4821.",
    "What is the code of birch?", "7, 8, 9, 10, 11, 12.", "Grüße  x_y\n", "  leading and trailing  ", "tab\tand\r\nnewline\n\n",
    "it's we're I'll they've I'm he'd DON'T", "Привет, мир! 你好,世界。 ", "😀😀 emoji 👩‍👩‍👧", "naïve café", "a1b22c333 4 55",
    "x" * 300, "ab" * 200, "!?!?...---", "\u00a0nbsp\u2003em", "once upon a time " * 5, "\U0001d400\U0001d401 bold",
]


def main(out):
    t = Tokenizer(json.load(open(HERE / "tok.json")))
    rnd = random.Random(11)
    alphabet = "abcdefgh  \n,.!'0123456789éßжñ你好😀_-\"" + "thecodeofamberis"
    texts = TEXTS + ["".join(rnd.choice(alphabet) for _ in range(rnd.randrange(1, 80))) for _ in range(200)]
    cases = [{"text": s, "ids": t.encode(s)} for s in texts]
    chats = [[("user", "Hello")], [("system", "Be brief."), ("user", "Count from 7 to 9."), ("assistant", "7, 8, 9."),
                                   ("user", "Thanks!")]]
    dialogues = [{"turns": c, "ids": t.chat(c)} for c in chats]
    json.dump({"special": {s: t.vocab[s] for s in SPECIAL}, "texts": cases, "chats": dialogues}, open(out, "w"),
              ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    main(sys.argv[1])
