"""The transport problem, exactly: successive shortest paths with potentials."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def transport_cost(
    supply: NDArray[np.integer[Any]], demand: NDArray[np.integer[Any]], costs: NDArray[np.float64]
) -> float:
    """The least cost of moving integer ``supply`` [n] onto ``demand`` [m] of the same sum.

    ``costs`` [n, m] are not negative.  Each round sends as much as it can along a cheapest path
    through what is not yet moved (Edmonds and Karp, 1972); Dijkstra's algorithm, dense, finds it
    on costs that the potentials keep from being negative.
    """
    left, right = supply.astype(np.int64), demand.astype(np.int64)
    n, m = costs.shape
    flow = np.zeros((n, m), np.int64)
    rows, columns = np.zeros(n), np.zeros(m)  # potentials
    while left.any():
        reduced = np.maximum(costs + rows[:, None] - columns[None, :], 0.0)
        to_row, to_column, via_row, via_column, goal = _cheapest(left, right, reduced, flow)
        # Beyond the goal every node counts as being as far as it.
        far = to_column[goal]
        rows += np.minimum(to_row, far)
        columns += np.minimum(to_column, far)
        path = []
        column = goal
        while True:
            row = int(via_row[column])
            path.append((row, column))
            if via_column[row] < 0:
                break
            column = int(via_column[row])
        back = [(path[i][0], path[i + 1][1]) for i in range(len(path) - 1)]
        amount = min([left[path[-1][0]], right[goal], *(flow[edge] for edge in back)])
        for edge in path:
            flow[edge] += amount
        for edge in back:
            flow[edge] -= amount
        left[path[-1][0]] -= amount
        right[goal] -= amount
    return float((flow * costs).sum())


def _cheapest(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    reduced: NDArray[np.float64],
    flow: NDArray[np.int64],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], int]:
    """Distances from the rows that still supply, the paths, and the nearest column with demand."""
    n, m = reduced.shape
    to_row = np.where(left > 0, 0.0, np.inf)
    to_column = np.full(m, np.inf)
    via_row = np.full(m, -1)  # the row before each column
    via_column = np.full(n, -1)  # the column before each row
    open_rows, open_columns = np.ones(n, bool), np.ones(m, bool)
    while True:
        near_rows = np.where(open_rows, to_row, np.inf)
        near_columns = np.where(open_columns, to_column, np.inf)
        row, column = int(near_rows.argmin()), int(near_columns.argmin())
        if near_columns[column] < near_rows[row]:
            if right[column] > 0:
                return to_row, to_column, via_row, via_column, column
            open_columns[column] = False
            # Back along what was moved, at no reduced cost.
            better = (flow[:, column] > 0) & (to_column[column] < to_row) & open_rows
            to_row[better] = to_column[column]
            via_column[better] = column
        else:
            open_rows[row] = False
            length = to_row[row] + reduced[row]
            better = (length < to_column) & open_columns
            to_column[better] = length[better]
            via_row[better] = row
