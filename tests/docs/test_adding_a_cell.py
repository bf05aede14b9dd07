"""The cell that docs/adding-a-cell.md adds: its C++ compiles, and its derivatives are right."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
COMPILER = shutil.which("c++")

# One unit: x's parts of both gates, h, and the two recurrent weights come from the command line.
PROGRAM = """
#include <stdio.h>
#include <stdlib.h>

#include "math/scalar.h"
#include "math/activations.h"
#include "cells/mgu.h"

using V = fastrnn::ScalarValue<double>;
using Cell = fastrnn::MguCell;
template <int N>
using Values = fastrnn::Pack<V, N>;

int main(int, char** text) {
  const double x_f = atof(text[1]), x_n = atof(text[2]), h = atof(text[3]);
  const double w_f = atof(text[4]), w_n = atof(text[5]);
  const Values<0> none{};
  const Values<1> prev{{V(h)}};
  Values<1> a{{V(x_f + w_f * h)}}, next, d_prev, d_a, d_first;
  Values<2> reserve;
  Values<0> d_x, d_p;
  const V operand = Cell::forward_operand<V>(a, none, none, prev, reserve);
  a[0] = V(x_n + w_n * operand.v);
  Cell::forward<V>(a, none, none, prev, next, reserve);
  const Values<1> d_next{{V(1.0)}};
  Cell::backward<V>(reserve, none, prev, next, d_next, d_prev, d_a, d_first, d_x, d_p);
  if (Cell::operand<V>(reserve, prev).v != operand.v) return 1;
  Cell::backward_operand<V>(reserve, none, prev, V(w_n * d_a[0].v), d_prev, d_first, d_x, d_p);
  const double d_h = d_prev[0].v + w_f * d_first[0].v;
  printf("%.17g %.17g %.17g %.17g", next[0].v, d_first[0].v, d_a[0].v, d_h);
}
"""


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
def test_its_header_is_right(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "adding-a-cell.md").read_text(encoding="utf-8")
    (header,) = re.findall(r"^```cpp\n(#pragma once\n.*?)^```", page, flags=re.M | re.S)
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "mgu.h").write_text(header, encoding="utf-8")
    (tmp_path / "main.cpp").write_text(PROGRAM, encoding="utf-8")
    subprocess.run(
        [
            *(str(COMPILER), "-std=c++17", "-Wall", "-Wextra", "-Werror"),
            *("-I", str(tmp_path), "-I", str(ROOT / "csrc")),
            *("-o", str(tmp_path / "main"), str(tmp_path / "main.cpp")),
        ],
        check=True,
    )
    for given in ([0.3, -0.7, 0.9, 1.1, -0.6], [-1.2, 0.4, -0.5, 0.2, 2.0]):
        out = subprocess.run(
            [str(tmp_path / "main"), *map(str, given)], check=True, capture_output=True, text=True
        )
        x_f, x_n, h, w_f, w_n = (
            torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in given
        )
        f = torch.sigmoid(x_f + w_f * h)
        n = torch.tanh(x_n + w_n * (f * h))
        expected = (1 - f) * h + f * n
        expected.backward()
        wanted = torch.stack([expected.detach(), x_f.grad, x_n.grad, h.grad])
        found = torch.tensor([float(word) for word in out.stdout.split()], dtype=torch.float64)
        torch.testing.assert_close(found, wanted, rtol=1e-14, atol=1e-15)
