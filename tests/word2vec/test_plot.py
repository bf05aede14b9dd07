"""Pictures of word vectors."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from fastrnn.word2vec import KeyedVectors, plot

pytest.importorskip("sklearn")


@pytest.fixture(autouse=True)
def one_thread():
    """t-SNE of a few vectors on threads that wait for each other, actively: half a minute."""
    with pytest.importorskip("threadpoolctl").threadpool_limits(1):
        yield


def make(count: int = 30, size: int = 8) -> KeyedVectors:
    wv = KeyedVectors(size)
    rng = np.random.default_rng(0)
    wv.add_vectors([f"w{i}" for i in range(count)], rng.standard_normal((count, size)))
    return wv


def names(ax):
    return {text.get_text() for text in ax.texts if text.get_text()}


@pytest.mark.parametrize("method", plot.METHODS)
def test_neighbors(tmp_path, method):
    wv = make()
    ax = plot.neighbors(wv, ["w1", "w2"], topn=4, method=method)
    expected = {"w1", "w2"} | {key for w in ("w1", "w2") for key, _ in wv.most_similar(w, topn=4)}
    assert names(ax) == expected and len(ax.collections) == 2
    ax.figure.savefig(tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("method", plot.METHODS)
def test_analogies(method):
    from matplotlib.figure import Figure

    own = Figure().add_subplot()
    ax = plot.analogies(make(), [("w1", "w2"), ("w3", "w4"), ("w1", "w5")], method=method, ax=own)
    assert ax is own and names(ax) == {"w1", "w2", "w3", "w4", "w5"}
    assert sum(text.arrow_patch is not None for text in ax.texts) == 3


def test_one_word_and_a_dollar(tmp_path):
    wv = make()
    wv.add_vector("$100 to $200", np.ones(8))
    ax = plot.neighbors(wv, "$100 to $200", topn=1)
    ax.figure.savefig(tmp_path / "x.svg")
    assert len(names(ax)) == 2 and ax.get_legend() is None


def test_principal_components_keep_a_plane():
    """Vectors in a plane through the origin keep their distances."""
    rng = np.random.default_rng(1)
    angles = rng.uniform(0, 2 * np.pi, 9)
    flat = np.column_stack([np.cos(angles), np.sin(angles)])
    basis = np.linalg.qr(rng.standard_normal((7, 2)))[0]
    places = plot.project(flat @ basis.T * rng.uniform(1, 5, (9, 1)))
    apart = [np.linalg.norm(x[:, None] - x[None], axis=2) for x in (flat, places)]
    np.testing.assert_allclose(apart[0], apart[1], atol=1e-12)


def test_small_cases():
    assert plot.project(np.array([[1.0, 0], [0, 1]])).shape == (2, 2)
    assert plot.project(np.array([[1.0], [2], [-3]])).shape == (3, 2)
    assert plot.project(np.zeros((3, 4))).tolist() == [[0, 0]] * 3
    assert plot.project(np.eye(3), "tsne").shape == (3, 2)
    assert np.array_equal(plot.project(np.eye(5), "tsne"), plot.project(np.eye(5), "tsne"))


def test_bad_input():
    wv = make()
    with pytest.raises(KeyError, match="no such word"):
        plot.neighbors(wv, ["w1", "no such word"])
    with pytest.raises(KeyError, match="no such word"):
        plot.analogies(wv, [("w1", "no such word")])
    with pytest.raises(ValueError, match="no words"):
        plot.neighbors(wv, [])
    with pytest.raises(ValueError, match="no pairs"):
        plot.analogies(wv, [])
    with pytest.raises(ValueError, match="method must be one of pca, tsne, not 'umap'"):
        plot.neighbors(wv, "w1", method="umap")
    with pytest.raises(ValueError, match="at least two"):
        plot.neighbors(wv, "w1", topn=0)


@pytest.mark.parametrize("module", ["sklearn.decomposition", "matplotlib.figure"])
def test_missing_packages_are_named(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"pip install fastrnn\[plot\]"):
        plot.neighbors(make(), "w1")
