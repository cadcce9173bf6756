#!/usr/bin/env python3
"""Draws docs/benchmarks.svg from docs/benchmarks.json: `plot.py [JSON [SVG]]`. Plain SVG that is readable in a light and in a dark page."""
import json, math, sys
from html import escape
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
WIDTH, LEFT, BAR, STEP = 860, 236, 16, 24
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px }
  .small { font-size: 12px; fill: #59636e }
  .end { text-anchor: end }
  .middle { text-anchor: middle }
  .axis { stroke: #d1d9e0; stroke-width: 1 }
  .ours { fill: #0969da }
  .other { fill: #8c959f }
  .curve { fill: none; stroke-width: 2 }
  .c0 { stroke: #0969da } .d0 { fill: #0969da }
  .c1 { stroke: #bc4c00 } .d1 { fill: #bc4c00 }
  .c2 { stroke: #1a7f37 } .d2 { fill: #1a7f37 }
  .c3 { stroke: #8250df } .d3 { fill: #8250df }
  .back { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .small { fill: #9198a1 } .axis { stroke: #3d444d } .back { fill: #0d1117 }
    .ours { fill: #4493f8 } .other { fill: #656c76 }
    .c0 { stroke: #4493f8 } .d0 { fill: #4493f8 } .c1 { stroke: #f0883e } .d1 { fill: #f0883e }
    .c2 { stroke: #3fb950 } .d2 { fill: #3fb950 } .c3 { stroke: #ab7df8 } .d3 { fill: #ab7df8 }
  }
"""
KINDS = ["GET /v1/users/me", "429, over the limit", "401, no such key", "GET /v1/forward-auth", "POST /v1/keys/verify", "GET /v1/users?limit=20"]
CURVES = ["users and keys, a known key", "users and keys, a page of 20", "accounts active at once", "connections"]


class Drawing:
    def __init__(self):
        self.parts, self.y = [], 12

    def text(self, x, y, words, kind=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(words)}</text>')

    def line(self, x1, y1, x2, y2):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="axis"/>')

    def heading(self, words, below):
        self.y += 24
        self.text(16, self.y, words, "title")
        self.y += 18
        self.text(16, self.y, below, "small")
        self.y += 12

    def bars(self, rows):
        """Rows of a name, a share of the bare handler's rate, and whether it is ours."""
        most, room = max(1.0, *(share for _, share, _ in rows)), WIDTH - LEFT - 70
        for name, share, ours in rows:
            self.text(LEFT - 10, self.y + 13, name, "end")
            width = max(1.5, share / most * room)
            self.parts.append(f'<rect x="{LEFT}" y="{self.y}" width="{width:.1f}" height="{BAR}" rx="2" class="{"ours" if ours else "other"}"/>')
            self.text(LEFT + width + 6, self.y + 13, f"{share:.2f}" if share >= 0.1 else f"{share:.3f}")
            self.y += STEP

    def curves(self, curves):
        """Each as a multiple of its first point, over a logarithmic axis."""
        left, right, top, height = 56, WIDTH - 230, self.y + 10, 230
        shares = {name: [(x, y / points[0][1]) for x, y in points] for name, points in curves.items()}
        most = max(1.5, *(y for points in shares.values() for _, y in points)) * 1.08
        last = max(x for points in shares.values() for x, _ in points)
        across = lambda x: left + math.log10(max(x, 1)) / math.log10(last) * (right - left)
        up = lambda y: top + height - y / most * height
        step = next(step for step in (0.5, 1, 2, 5, 10, 50, 100, 1000) if most / step <= 6)
        for n in range(int(most / step) + 1):
            self.line(left, up(n * step), right, up(n * step))
            self.text(left - 8, up(n * step) + 4, f"{n * step:g}", "small end")
        for power in range(int(math.log10(last)) + 1):
            self.text(across(10**power), top + height + 18, f"{10**power:,}", "small middle")
        for n, (name, points) in enumerate(shares.items()):
            path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in points)
            self.parts.append(f'<polyline points="{path}" class="curve c{n}"/>')
            self.parts += [f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" class="d{n}"><title>{x:,}: {y:.2f}</title></circle>' for x, y in points]
            self.parts.append(f'<rect x="{right + 18}" y="{top + 4 + n * STEP}" width="12" height="12" rx="2" class="d{n}"/>')
            self.text(right + 36, top + 15 + n * STEP, name, "small")
        self.y = top + height + 34

    def svg(self, told):
        height = self.y + 12
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}" role="img" aria-label="{escape(told)}">\n'
                f'<style>{STYLE}</style>\n<rect width="100%" height="100%" class="back"/>\n' + "\n".join(self.parts) + "\n</svg>\n")


def draw(figures):
    drawing, told = Drawing(), []
    peers = figures.get("peers", {}).get("rows", {})
    if len(peers) > 1:
        base = peers["bare actix handler"]["rate"]
        rows = sorted(((name, row["rate"] / base, name == "Keyrack") for name, row in peers.items()), key=lambda row: -row[1])
        drawing.heading("The same work, by others", "Requests a second on one core, beside a bare handler that checks nothing. All check a key and answer the same user.")
        drawing.bars(rows)
        told.append("; ".join(f"{name} {share:.3f}" for name, share, _ in rows))
    requests = figures.get("requests", {}).get("rows", {})
    rows = [(name, requests[name]["rate"] / requests[requests[name]["base"]]["rate"], True) for name in KINDS if name in requests]
    if rows:
        drawing.heading("Kinds of requests", "Requests a second on one core, beside a bare handler that reads and answers bodies of the same size.")
        drawing.bars(rows)
    curves = figures.get("growth", {}).get("curves", {})
    if curves:
        drawing.heading("What grows, and what a request costs then", "Processor time of a request, as a multiple of the first point of its curve.")
        drawing.curves({name: curves[name] for name in CURVES if name in curves})
    return drawing.svg("Benchmarks. " + " ".join(told))


def main():
    source, target = (sys.argv[1:] + [DOCS / "benchmarks.json", DOCS / "benchmarks.svg"][len(sys.argv) - 1:])[:2]
    Path(target).write_text(draw(json.loads(Path(source).read_text())))


if __name__ == "__main__":
    main()
