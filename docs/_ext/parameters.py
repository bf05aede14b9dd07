"""A table of a layer's parameters, asked of the layer itself.

``{parameters} PeepholeLSTM peephole=full`` makes one and writes its shapes in terms of I and H.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import fastrnn.nn
from fastrnn._plan import CELL_INFO

INPUT_SIZE, HIDDEN_SIZE = 101, 103


def size(value: int) -> str:
    if value == INPUT_SIZE:
        return "I"
    times, rest = divmod(value, HIDDEN_SIZE)
    return str(value) if rest else "H" if times == 1 else f"{times}*H"


class Parameters(SphinxDirective):
    required_arguments = 1
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        options = dict(given.split("=") for given in self.arguments[1:])
        values: dict[str, Any] = {name: {"False": False}.get(v, v) for name, v in options.items()}
        layer = getattr(fastrnn.nn, self.arguments[0])(INPUT_SIZE, HIDDEN_SIZE, **values)
        gates = CELL_INFO[layer._cell()]["gates"].split()
        rows: list[tuple[str, ...]] = [("parameter", "shape", "rows")]
        for name, parameter in layer.named_parameters():
            shape = ", ".join(size(value) for value in parameter.shape)
            whole = parameter.shape[0] == len(gates) * HIDDEN_SIZE and len(gates) > 1
            rows.append((name, f"[{shape}]", ", ".join(gates) if whole else ""))
        if not any(row[2] for row in rows[1:]):
            rows = [row[:2] for row in rows]
        return [self.table(rows)]

    def table(self, rows: list[tuple[str, ...]]) -> nodes.table:
        group = nodes.tgroup(cols=len(rows[0]))
        group += [nodes.colspec(colwidth=1) for _ in rows[0]]
        head, body = nodes.thead(), nodes.tbody()
        for index, row in enumerate(rows):
            line = nodes.row()
            for column, text in enumerate(row):
                written: nodes.Node = nodes.Text(text)
                if index and column < 2:
                    written = nodes.literal(text, text)
                line += nodes.entry("", nodes.paragraph("", "", written))
            (body if index else head).append(line)
        group += [head, body]
        return nodes.table("", group)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("parameters", Parameters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
