"""The results as an SVG picture, drawn here so that no plotting library is needed."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from bench.measure import Result
from bench.report import amount

WIDTH, LABELS, AMOUNTS, BAR, STEP, TOP = 860, 330, 160, 14, 26, 40
INK, FAINT, BETTER, WORSE, GOAL = "#0f172a", "#64748b", "#0f766e", "#b45309", "#be123c"


def svg(results: Sequence[Result]) -> str:
    """A bar a row: Lamina's median as a part of dockerd's, with a tick where the goal is."""
    scale = (WIDTH - LABELS - AMOUNTS) / max(1.0, *(result.ratio for result in results))
    height = TOP + len(results) * STEP + 8
    one = LABELS + scale
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {WIDTH} {height}",
            "font-family": "sans-serif",
            "font-size": "12",
        },
    )
    # A ground of its own, so that it reads on a dark page too.
    _shape(root, "rect", width=WIDTH, height=height, fill="#ffffff")
    caption = (
        "Lamina's median as a part of dockerd's (dashed line), shorter is better; red: the goal"
    )
    _text(root, caption, x=LABELS, y=18, fill=FAINT)
    for number, result in enumerate(results):
        top = TOP + number * STEP
        base = top + BAR - 3
        unit, width = result.row.unit, max(1.0, result.ratio * scale)
        title = result.title.strip()
        _text(root, title, x=LABELS - 10, y=base, fill=INK, anchor="end")
        colour = BETTER if result.ratio <= 1 else WORSE
        _shape(root, "rect", x=LABELS, y=top, width=width, height=BAR, fill=colour)
        if result.row.goal_ratio is not None:
            goal = result.row.goal_ratio * result.goal_base / result.dockerd.median
            x = LABELS + goal * scale
            _shape(root, "rect", x=x - 1, y=top - 3, width=2, height=BAR + 6, fill=GOAL)
        medians = f"{amount(result.lamina.median, unit)} : {amount(result.dockerd.median, unit)}"
        _text(root, medians, x=max(LABELS + width, one) + 8, y=base, fill=FAINT)
    line = _shape(root, "line", x1=one, x2=one, y1=TOP - 8, y2=height - 4, stroke=FAINT)
    line.set("stroke-dasharray", "4 3")
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _shape(parent: ET.Element, tag: str, **attributes: float | str) -> ET.Element:
    values = {k: v if isinstance(v, str) else f"{v:g}" for k, v in attributes.items()}
    return ET.SubElement(parent, tag, values)


def _text(
    parent: ET.Element, text: str, *, x: float, y: float, fill: str, anchor: str = "start"
) -> None:
    element = _shape(parent, "text", x=x, y=y, fill=fill)
    element.set("text-anchor", anchor)
    element.text = text
