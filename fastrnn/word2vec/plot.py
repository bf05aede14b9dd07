"""Pictures of word vectors in two dimensions: neighbors and analogies.

Needs Matplotlib and scikit-learn (``pip install fastrnn[plot]``), loaded when first asked for.

Example::

    from fastrnn.word2vec import plot

    plot.neighbors(wv, ["king", "paris"], topn=8).figure.savefig("neighbors.png")
    plot.analogies(wv, [("man", "king"), ("woman", "queen")]).figure.savefig("analogies.png")
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fastrnn.word2vec.keyed_vectors import KeyedVectors

METHODS = ("pca", "tsne")


def project(vectors: NDArray[Any], method: str = "pca", *, seed: int = 0) -> NDArray[np.float64]:
    """Places [n, 2] for vectors [n, d], taken at length 1.

    "pca" keeps the two directions in which they differ most (the same every time); "tsne" keeps
    neighbors together, its start drawn from ``seed``.  Raises ``ValueError`` for fewer than two
    vectors or an unknown method, ``ImportError`` without scikit-learn.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    if len(vectors) < 2:
        raise ValueError(f"a picture needs at least two vectors, not {len(vectors)}")
    wide = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    wide = wide / np.where(lengths > 0, lengths, 1)
    flat = min(wide.shape) < 2
    if method == "pca" or flat:
        pca = _need("sklearn.decomposition", "scikit-learn").PCA
        with np.errstate(invalid="ignore"):  # shares of no variance, if all vectors are the same
            places = pca(n_components=1 if flat else 2, svd_solver="full").fit_transform(wide)
        if flat:
            places = np.column_stack([places[:, 0], np.zeros(len(places))])
    else:
        tsne = _need("sklearn.manifold", "scikit-learn").TSNE
        # Perplexity must stay below the number of vectors.
        perplexity = min(30.0, max(1.0, (len(wide) - 1) / 3))
        places = tsne(
            n_components=2, perplexity=perplexity, init="random", random_state=seed
        ).fit_transform(wide)
    return np.asarray(places, dtype=np.float64)


def neighbors(
    wv: KeyedVectors,
    words: str | Sequence[str],
    *,
    topn: int = 10,
    method: str = "pca",
    seed: int = 0,
    restrict_vocab: int | None = None,
    ax: Any = None,
) -> Any:
    """Draw words, each with its ``topn`` nearest in one color; returns Matplotlib's axes.

    A word near several of those asked for takes the color of the first.  Raises ``KeyError`` for a
    word without a vector, ``ValueError`` for none.
    """
    asked = [words] if isinstance(words, str) else list(words)
    if not asked:
        raise ValueError("no words to draw")
    found = wv.most_similar_batch(asked, topn=topn, restrict_vocab=restrict_vocab)
    groups = {word: group for group, word in enumerate(asked)}
    for group, near in enumerate(found):
        for word, _ in near:
            groups.setdefault(word, group)
    names = list(groups)
    places = project(np.stack([wv.get_vector(name) for name in names]), method, seed=seed)
    ax = _axes(ax)
    colors = np.array([groups[name] for name in names])
    for group, word in enumerate(asked):
        own = colors == group
        ax.scatter(places[own, 0], places[own, 1], s=18, color=f"C{group % 10}", label=word)
    for name, place in zip(names, places):
        _name(ax, name, place, bold=name in asked)
    if len(asked) > 1:
        ax.legend(title="nearest to", frameon=False)
    _finish(ax, f"Nearest words ({_LABELS[method]})")
    return ax


def analogies(
    wv: KeyedVectors,
    pairs: Sequence[tuple[str, str]],
    *,
    method: str = "pca",
    seed: int = 0,
    ax: Any = None,
) -> Any:
    """Draw an arrow from the first to the second word of each pair; returns Matplotlib's axes.

    Where a relation is a direction, the arrows are parallel.  Raises ``KeyError`` for a word
    without a vector, ``ValueError`` for no pairs.
    """
    pairs = [(first, second) for first, second in pairs]
    if not pairs:
        raise ValueError("no pairs to draw")
    names = list(dict.fromkeys(word for pair in pairs for word in pair))
    places = project(np.stack([wv.get_vector(name) for name in names]), method, seed=seed)
    place = dict(zip(names, places))
    ax = _axes(ax)
    ax.scatter(places[:, 0], places[:, 1], s=18, color="C0")
    for first, second in pairs:
        ax.annotate(
            "",
            xy=place[second],
            xytext=place[first],
            arrowprops={"arrowstyle": "->", "color": "C7", "shrinkA": 4, "shrinkB": 4},
        )
    for name in names:
        _name(ax, name, place[name])
    _finish(ax, f"Analogies ({_LABELS[method]})")
    return ax


_LABELS = {"pca": "PCA", "tsne": "t-SNE"}


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    # A figure of its own rather than pyplot's: no window, nothing to close, any thread.
    figure = _need("matplotlib.figure", "matplotlib").Figure(figsize=(7, 6), layout="constrained")
    return figure.add_subplot()


def _name(ax: Any, name: str, place: NDArray[np.float64], *, bold: bool = False) -> None:
    ax.annotate(
        name.replace("$", r"\$"),  # not the start of a formula
        place,
        xytext=(4, 3),
        textcoords="offset points",
        fontsize=9,
        fontweight="bold" if bold else "normal",
    )


def _finish(ax: Any, title: str) -> None:
    ax.set_title(title)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.margins(0.12)


def _need(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"pictures of word vectors need the package {package}. Install it with "
            "`pip install fastrnn[plot]`.",
            name=module.split(".")[0],
        ) from error
