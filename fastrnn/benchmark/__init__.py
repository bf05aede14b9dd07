"""Benchmark of fastrnn's layers against torch's own, whole calls from Python, float32.

``shapes`` says what is measured and how fast it must be; ``pair`` builds the two layers of a row;
``check`` compares their answers with a float64 run before anything is timed; ``timing`` measures;
``memory`` measures a training step's peak in processes of its own; ``machine`` says where;
``runner`` puts a run together; ``report``, ``chart`` and ``compare`` read its JSON.
"""

from __future__ import annotations
