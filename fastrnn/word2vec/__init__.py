"""Word vectors: CBOW and skip-gram with hierarchical softmax and negative sampling."""

from __future__ import annotations
