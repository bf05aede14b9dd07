"""Draw the cells' pictures from cells.txt into docs/images/cells: ``python docs/diagrams/draw.py``.

Plain SVG with a background of its own, so that it can be read on pages of any theme.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

HERE = Path(__file__).parent
UNIT_X, UNIT_Y, MARGIN = 62.0, 46.0, 14.0
INK, BACKGROUND, SET_OFF = "#28323c", "#fbfcfd", "#b0361e"
# Half width, half height, corner, fill, of each kind.
KINDS = {
    "port": (16.0, 13.0, 0.0, BACKGROUND),
    "gate": (21.0, 16.0, 4.0, "#ffe0a3"),
    "linear": (23.0, 15.0, 2.0, "#cfe3f7"),
    "norm": (32.0, 14.0, 2.0, "#d3edd0"),
    "op": (14.0, 14.0, 14.0, "#f6d3dd"),
    "func": (26.0, 13.0, 13.0, "#ffe0a3"),
    "dot": (2.6, 2.6, 2.6, INK),
    "at": (0.0, 0.0, 0.0, INK),
}


class Thing(NamedTuple):
    kind: str
    name: str
    x: float
    y: float
    text: str


class Wire(NamedTuple):
    """Names, with what leads from each to the next."""

    names: list[str]
    bends: list[str]
    set_off: bool


class Cell(NamedTuple):
    things: dict[str, Thing]
    wires: list[Wire]


def read(text: str) -> dict[str, Cell]:
    """Every section; ValueError for a line that is none of the three forms."""
    cells: dict[str, Cell] = {}
    cell = Cell({}, [])
    for line in text.splitlines():
        words = line.split()
        if not words or words[0] == "#":
            continue
        if section := re.fullmatch(r"\[(\w+)\]", line):
            cell = cells[section[1]] = Cell({}, [])
        elif words[0] in KINDS:
            kind, name, x, y, *rest = words
            cell.things[name] = Thing(kind, name, float(x), float(y), " ".join(rest) or name)
        else:
            set_off = words[0] == "~"
            words = words[set_off:]
            if not set(words[1::2]) <= {"--", "-|", "|-"} or len(words) % 2 == 0 or len(words) < 3:
                raise ValueError(f"neither a thing nor a wire: {line}")
            cell.wires.append(Wire(words[::2], words[1::2], set_off))
    return cells


def place(cell: Cell, name: str) -> tuple[Thing, float, float]:
    side = {"<": -1, ">": 1}.get(name[-1], 0)
    thing = cell.things[name[:-1] if side else name]
    shift = side * KINDS[thing.kind][0] * 0.6
    if thing.kind == "gate":
        shift = side * 0.25 * UNIT_X if thing.name in "fi" else side * 0.2 * UNIT_X
    elif thing.kind == "op":
        shift = side * 0.15 * UNIT_X
    return thing, thing.x * UNIT_X + shift, thing.y * UNIT_Y


def corners(cell: Cell, wire: Wire) -> Iterator[tuple[list[tuple[float, float]], bool]]:
    """Of each piece of a wire: its points, the last at a thing's border; whether it is a thing."""
    for start, bend, end in zip(wire.names, wire.bends, wire.names[1:], strict=False):
        _, x0, y0 = place(cell, start)
        thing, x1, y1 = place(cell, end)
        points = [(x0, y0)]
        if bend == "-|":
            points.append((x1, y0))
        elif bend == "|-":
            points.append((x0, y1))
        elif abs(x0 - x1) > 0.01 and abs(y0 - y1) > 0.01:
            raise ValueError(f"{start} -- {end} is not straight")
        (x, y), (width, height, *_) = points[-1], KINDS[thing.kind]
        arrow = thing.kind not in ("dot", "at")
        if arrow:
            gap = 1.0
            if abs(y - y1) < 0.01:
                x1 += (width + gap) * (1 if x > x1 else -1)
            else:
                y1 += (height + gap) * (1 if y > y1 else -1)
        yield [*points, (x1, y1)], arrow


def label(thing: Thing, x: float, y: float) -> str:
    """Text in the middle: italics for variables, with their subscripts, a gate's name above."""
    text = thing.text.replace("'", "\u2032")
    style = 'font-size="13"'
    if thing.kind == "gate":
        style = 'font-size="13" font-style="italic"'
        name = f'<text x="{x:g}" y="{y - 3:g}" {style}>{thing.name}</text>'
        return f'{name}<text x="{x:g}" y="{y + 11:g}" font-size="11">{escape(text)}</text>'
    if thing.kind in ("port", "linear"):
        base, _, index = text.partition("_")
        style = 'font-size="15" font-style="italic"'
        text = escape(base)
        if index:
            text += f'<tspan font-size="10" dy="4">{escape(index)}</tspan>'
        return f'<text x="{x:g}" y="{y + 4.5:g}" {style}>{text}</text>'
    if thing.kind == "func":
        *names, function = text.split()
        text = "".join(f'<tspan font-style="italic">{name}</tspan>\u2009' for name in names)
        return f'<text x="{x:g}" y="{y + 4.5:g}" {style}>{text}{escape(function)}</text>'
    return f'<text x="{x:g}" y="{y + 4.5:g}" {style}>{escape(text)}</text>'


def svg(name: str, cell: Cell) -> str:
    """The picture of one cell."""
    left = min(t.x * UNIT_X - KINDS[t.kind][0] for t in cell.things.values()) - MARGIN
    right = max(t.x * UNIT_X + KINDS[t.kind][0] for t in cell.things.values()) + MARGIN
    top = min(t.y * UNIT_Y - KINDS[t.kind][1] for t in cell.things.values()) - MARGIN
    bottom = max(t.y * UNIT_Y + KINDS[t.kind][1] for t in cell.things.values()) + MARGIN
    width, height = right - left, bottom - top
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="{left:g} {top:g} {width:g} {height:g}" font-family="Georgia, serif" '
        f'text-anchor="middle" fill="{INK}" stroke-width="1.4">',
        f"<title>{escape(name)}</title>",
        f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="8" '
        f'fill="{BACKGROUND}"/>',
    ]
    for color in (INK, SET_OFF):
        tip = "set_off" if color == SET_OFF else "tip"
        parts.append(
            f'<marker id="{tip}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5.5" '
            f'markerHeight="5.5" orient="auto"><path d="M0 0 8 4 0 8z" fill="{color}"/></marker>'
        )
    for wire in cell.wires:
        color, tip = (SET_OFF, "set_off") if wire.set_off else (INK, "tip")
        for points, arrow in corners(cell, wire):
            path = "M" + " ".join(f"{x:.4g} {y:.4g}" for x, y in points)
            end = f' marker-end="url(#{tip})"' if arrow else ""
            parts.append(f'<path d="{path}" fill="none" stroke="{color}"{end}/>')
    for thing in cell.things.values():
        half_width, half_height, corner, fill = KINDS[thing.kind]
        if thing.kind == "at":
            continue
        _, x, y = place(cell, thing.name)
        line = "" if thing.kind in ("port", "dot") else f' stroke="{INK}"'
        parts.append(
            f'<rect x="{x - half_width:g}" y="{y - half_height:g}" width="{2 * half_width:g}" '
            f'height="{2 * half_height:g}" rx="{corner:g}" fill="{fill}"{line}/>'
        )
        if thing.kind != "dot":
            parts.append(label(thing, x, y))
    return "\n".join([*parts, "</svg>", ""])


def pictures() -> dict[str, str]:
    """The SVG of every cell, by name."""
    cells = read((HERE / "cells.txt").read_text(encoding="utf-8"))
    return {name: svg(name, cell) for name, cell in cells.items()}


def main() -> None:
    folder = HERE.parent / "images" / "cells"
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures().items():
        (folder / f"{name}.svg").write_text(picture, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
