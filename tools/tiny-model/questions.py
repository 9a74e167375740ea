"""Prints the questions of the model card's tables with their right answers, one JSON object a line.

The same generators and seeds as evaluate.py (--n 50 --keys 8 16 --ranges 300), without torch: what the tests of the
runner ask, so that the card's figures can be checked against the product's own arithmetic.

usage: questions.py [--n 50] [--ranges 300] | gzip -9n > card.jsonl.gz
"""
import argparse, json
from bpe import Tokenizer
from gen import Gen, KEYS

LENGTHS = [128, 256, 512, 768, 1024, 1536]


def recall_prompt(g, tok, keys, length, known=True):
    """As in evaluate.py, which cannot be imported without torch."""
    want = length - 12
    while True:
        codes = {}
        text = g.facts(codes, keys, want)
        k = g.pick(list(codes)) if known else g.key(codes)
        q = f"{text} What is the code of {k}?"
        n = len(tok.chat([("user", q)]))
        if abs(n - length) < 16 or keys * 11 + 24 > length:
            return q, f"The code of {k} is {codes[k]}." if known else f"I do not know the code of {k}."
        want += length - n


def count(x, y):
    return f"Count from {x} to {y}.", ", ".join(map(str, range(x, y + 1))) + "."


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--n", type=int, default=50), a.add_argument("--ranges", type=int, default=300)
    a = a.parse_args()
    tok = Tokenizer(json.load(open("tok.json")))
    size = lambda s: len(tok.encode(s))

    def emit(cell, pairs):
        for q, x in pairs:
            print(json.dumps({"cell": cell, "question": q, "answer": x}))

    for keys in (8, 16):
        for length in LENGTHS:
            if keys * 11 + 20 <= length:
                g = Gen(5000 + keys * 100 + length, size, pseudo=0.0)
                emit(f"recall {keys} {length}", [recall_prompt(g, tok, keys, length) for _ in range(a.n)])
    g, gk = Gen(77, size, pseudo=1.0), Gen(78, size, pseudo=0.0)
    ranges = lambda top: [count(x, y) for x in range(1, top) for y in range(x + 1, top + 1)]
    sets = {"count 60": ranges(60), "count 100": ranges(100),
            "recall invented 8 384": [recall_prompt(g, tok, 8, 384) for _ in range(a.n)],
            "unknown 8 384": [recall_prompt(gk, tok, 8, 384, False) for _ in range(a.n)],
            "repeat": [gk.repeat(100)[:2] for _ in range(a.n)],
            "spell": [(f"Spell {k}.", ", ".join(k) + ".") for k in KEYS]}
    for cell, pairs in sets.items():
        emit(cell, g.r.sample(pairs, a.ranges) if len(pairs) > a.ranges else pairs)


if __name__ == "__main__":
    main()
