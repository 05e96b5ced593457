"""Line plots as SVG, without a library: some panels side by side that share a legend
and the x axis's meaning. Readable on light and on dark pages."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 800, 450

LIGHT = {"page": "#ffffff", "ink": "#1f2328", "faint": "#59636e", "grid": "#d8dee4",
         "series": ["#0969da", "#bc4c00", "#1a7f37", "#8250df", "#bf3989", "#7d6608",
                    "#0e7c86"]}
DARK = {"page": "#0d1117", "ink": "#e6edf3", "faint": "#9198a1", "grid": "#30363d",
        "series": ["#58a6ff", "#f0883e", "#3fb950", "#bc8cff", "#f778ba", "#d4b72c",
                   "#39c5cf"]}


def colours_of(scheme):
    """Rules for a scheme. Plain ones: not every renderer knows variables."""
    rules = [f".page {{ fill: {scheme['page']} }} text {{ fill: {scheme['ink']} }}",
             f".faint, .tick {{ fill: {scheme['faint']} }} .grid {{ stroke: {scheme['grid']} }}",
             f".limit {{ stroke: {scheme['faint']} }} .over {{ stroke: {scheme['page']} }}"]
    rules += [f".c{i} {{ stroke: {colour} }} circle.c{i} {{ fill: {colour} }}"
              for i, colour in enumerate(scheme["series"])]
    return "\n".join(rules)


STYLE = f"""
text {{ font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }}
.title {{ font-size: 15px; font-weight: 600 }} .panel {{ font-weight: 600 }}
.tick {{ font-size: 11px }} .end {{ text-anchor: end }} .middle {{ text-anchor: middle }}
.over {{ stroke-width: 4; paint-order: stroke }}
.grid {{ stroke-width: 1; fill: none }}
.limit {{ stroke-width: 1.2; stroke-dasharray: 5 4; fill: none }}
.line {{ stroke-width: 2; fill: none; stroke-linejoin: round; stroke-linecap: round }}
{colours_of(LIGHT)}
@media (prefers-color-scheme: dark) {{
{colours_of(DARK)}
}}
"""


def nice_ticks(top, count=5):
    """0 and some round numbers, up to the first that is not below `top`."""
    step = 10 ** math.floor(math.log10(top / count))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if m * step * count >= top * 0.999)
    return [i * step for i in range(math.ceil(top / step - 1e-9) + 1)]


def number(x):
    return f"{x:,.0f}" if x >= 100 or x == int(x) else f"{x:g}"


class Panel:
    """`series`: {name: [(x, y), ...]}, drawn over x, or over powers of two where `powers`; then
    x > 0. `limits`: [(y, text)], dashed lines; `marks`: [(x, text)], those that stand."""

    def __init__(self, title, series, limits=(), ticks=None, x_title="", powers=True, marks=()):
        self.title, self.series, self.limits, self.x_title = title, series, limits, x_title
        self.ticks, self.marks = ticks, marks
        self.scale = math.log2 if powers else float
        highest = max([y for line in series.values() for _, y in line] +
                      [y for y, _ in limits])
        self.y_ticks = nice_ticks(highest * 1.02 or 1)

    def draw(self, left, top, width, height, colours):
        xs = [self.scale(x) for line in self.series.values() for x, _ in line]
        low, high = min(xs), max(xs)

        def at(x, y):
            return (left + (self.scale(x) - low) / ((high - low) or 1) * width,
                    top + height - y / self.y_ticks[-1] * height)

        out = [f'<text class="panel" x="{left - 34}" y="{top - 12}">{escape(self.title)}</text>']
        first = min(x for line in self.series.values() for x, _ in line)
        for y in self.y_ticks:
            _, py = at(first, y)
            out.append(f'<path class="grid" d="M{left} {py:.1f}h{width}"/>'
                       f'<text class="tick end" x="{left - 6}" y="{py + 4:.1f}">{number(y)}</text>')
        ticks = self.ticks
        if not ticks and self.scale is float:
            ticks = [x for x in nice_ticks(high) if low <= x <= high]
        for x in ticks or [2.0 ** e for e in range(round(low), round(high) + 1)]:
            px, _ = at(x, 0)
            out.append(f'<path class="grid" d="M{px:.1f} {top + height}v4"/>'
                       f'<text class="tick middle" x="{px:.1f}" y="{top + height + 17}">'
                       f'{number(x)}</text>')
        out.append(f'<text class="faint middle" x="{left + width / 2}" y="{top + height + 34}">'
                   f'{escape(self.x_title)}</text>')
        for y, text in self.limits:
            _, py = at(first, y)
            out.append(f'<path class="limit" d="M{left} {py:.1f}h{width}"/><text class="tick over" '
                       f'x="{left + 5}" y="{py - 5:.1f}">{escape(text)}</text>')
        for line, (x, text) in enumerate(self.marks):
            px, _ = at(x, 0)
            out.append(f'<path class="limit" d="M{px:.1f} {top}v{height}"/><text class="tick over" '
                       f'x="{px + 4:.1f}" y="{top + 11 + 14 * line}">{escape(text)}</text>')
        for name, line in reversed(self.series.items()):  # the first one on top
            points = [at(x, y) for x, y in sorted(line)]
            path = "L".join(f"{px:.1f} {py:.1f}" for px, py in points)
            colour = f"c{colours[name]}"
            out.append(f'<path class="line {colour}" d="M{path}"/>')
            out += [f'<circle class="{colour}" cx="{px:.1f}" cy="{py:.1f}" r="2"/>'
                    for px, py in points]
        return out


def svg(title, subtitle, first, others):
    """A large panel, and up to two beside it, one above the other."""
    colours = {name: i % len(LIGHT["series"]) for i, name in enumerate(first.series)}
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(title)}">',
           f"<style>{STYLE}</style>",
           f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
           f'<text class="title" x="16" y="26">{escape(title)}</text>',
           f'<text class="faint" x="16" y="45">{escape(subtitle)}</text>']
    x = 16
    for name, colour in colours.items():
        out.append(f'<path class="line c{colour}" d="M{x} 64h18"/>'
                   f'<text x="{x + 24}" y="68">{escape(name)}</text>')
        x += 48 + 7 * len(name)
    out += first.draw(50, 106, 350, 290, colours)
    height = (290 - 78 * (len(others) - 1)) / max(len(others), 1)
    for i, panel in enumerate(others):
        out += panel.draw(470, 106 + i * (height + 78), 310, height, colours)
    return "\n".join(out + ["</svg>", ""])
