"""Draws the pause of a migration against the context's length from `krewe bench migrate --json`.

    python3 tools/migration_chart.py migrate.json > docs/charts/migration-pause.svg

Both axes are logarithmic: a flat line is a pause that does not depend on the context.
"""
import json
import math
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 400, 60, 120, 30, 50
COLOURS = {"live": "#1a7f37", "blocking": "#bc4c00", "recompute": "#8250df"}


def main(path):
    report = json.load(open(path))
    results = report["results"]
    xs = sorted({r["context_tokens"] for r in results})
    values = [max(r["pause_ms"], 0.1) for r in results]
    low, high = 10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values)))

    def x(tokens):
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(tokens / xs[0]) / math.log(xs[-1] / xs[0])

    def y(ms):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.log(max(ms, 0.1) / low) / math.log(high / low)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
           'font-size="12">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
           f'<text x="{LEFT}" y="18" font-size="14">Pause of a migration, ms ({report["model"]})</text>']
    ms = low
    while ms <= high:
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(ms):.1f}" y2="{y(ms):.1f}" stroke="#d0d7de"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(ms) + 4:.1f}" text-anchor="end">{ms:g}</text>')
        ms *= 10
    for tokens in xs:
        out.append(f'<text x="{x(tokens):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tokens}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">context, tokens</text>')
    for kind, colour in COLOURS.items():
        points = sorted((r["context_tokens"], r["pause_ms"]) for r in results if r["kind"] == kind)
        if not points:
            continue
        line = " ".join(f"{x(t):.1f},{y(p):.1f}" for t, p in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x(t):.1f}" cy="{y(p):.1f}" r="3" fill="{colour}"/>' for t, p in points]
        out.append(f'<text x="{x(points[-1][0]) + 8:.1f}" y="{y(points[-1][1]) + 4:.1f}" fill="{colour}">{kind}</text>')
    out.append("</svg>")
    print("\n".join(out))


if __name__ == "__main__":
    main(sys.argv[1])
