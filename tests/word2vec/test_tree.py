from __future__ import annotations

import heapq
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn.word2vec._tree import COMPAT, MAX_TURNS, Tree, huffman_tree

MODES = pytest.mark.parametrize("compat", COMPAT)
count_lists = st.lists(st.integers(0, 50), min_size=1, max_size=60) | st.lists(
    st.integers(0, 2**50), min_size=1, max_size=200
)


def paths(tree: Tree) -> list[tuple[list[int], list[int]]]:
    return [
        tuple(part.tolist() for part in tree.path(word))  # type: ignore[misc]
        for word in range(tree.num_words)
    ]


def optimal_weight(counts: list[int]) -> int:
    """Huffman's weighted path length: the sum of all merged counts."""
    heap = list(counts)
    heapq.heapify(heap)
    total = 0
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        total += merged
        heapq.heappush(heap, merged)
    return total


def weight(tree: Tree, counts: list[int]) -> int:
    return sum(length * count for length, count in zip(tree.lengths.tolist(), counts))


def two_pointers(counts: list[int]) -> list[tuple[list[int], list[int]]]:
    """Independent of the native code: the rule in plain Python, any order, any depth."""
    leaves = [("word", i) for i in range(len(counts))]
    nodes: list[tuple[int, int]] = []  # count, creation number
    below: dict[int, list[tuple[str, int]]] = {}
    for created in range(len(counts) - 1):
        picked = []
        total = 0
        for _ in range(2):
            if leaves and (not nodes or counts[leaves[-1][1]] < nodes[0][0]):
                item = leaves.pop()
                total += counts[item[1]]
            else:
                count, number = nodes.pop(0)
                item = ("node", number)
                total += count
            picked.append(item)
        below[created] = picked
        nodes.append((total, created))
    result: dict[int, tuple[list[int], list[int]]] = {0: ([], [])}

    def descend(number: int, rows: list[int], turns: list[int]) -> None:
        for turn, (kind, i) in enumerate(below[number]):
            at = (rows + [len(counts) - 1 - number], turns + [turn])
            if kind == "word":
                result[i] = at
            else:
                descend(i, *at)

    if len(counts) > 1:
        descend(len(counts) - 2, [], [])
    return [result[word] for word in range(len(counts))]


@MODES
@settings(deadline=None)
@given(counts=count_lists)
def test_is_a_huffman_tree(compat, counts):
    tree = huffman_tree(counts, compat=compat).check()
    assert tree.num_words == len(counts)
    if compat == "word2vec.c":  # where word 0 stays in front the tree need not be the best one
        counts = [max(counts), *counts[1:]]
        tree = huffman_tree(counts, compat=compat)
    if tree.lengths.max(initial=0) < MAX_TURNS and max(huffman_depths(counts)) < MAX_TURNS:
        assert weight(tree, counts) == optimal_weight(counts)


def huffman_depths(counts: list[int]) -> list[int]:
    order = sorted(range(len(counts)), key=lambda i: -counts[i])
    return [len(rows) for rows, _ in two_pointers([counts[i] for i in order])]


@MODES
@settings(deadline=None)
@given(counts=count_lists)
def test_codes_are_prefix_free_and_complete(compat, counts):
    codes = ["".join(map(str, turns)) for _, turns in paths(huffman_tree(counts, compat=compat))]
    for a, b in itertools.pairwise(sorted(codes)):  # a prefix sorts right before what it begins
        assert not b.startswith(a)
    assert sum(2 ** (MAX_TURNS - len(code)) for code in codes) == 2**MAX_TURNS  # Kraft


@MODES
@settings(deadline=None)
@given(counts=count_lists)
def test_less_frequent_words_are_not_nearer(compat, counts):
    lengths = huffman_tree(counts, compat=compat).lengths.tolist()
    first = 1 if compat == "word2vec.c" else 0
    for a, b in itertools.combinations(range(first, len(counts)), 2):
        if counts[a] > counts[b]:
            assert lengths[a] <= lengths[b]


@settings(deadline=None)
@given(counts=st.lists(st.integers(0, 30), min_size=1, max_size=40))
def test_follows_the_merging_rule(counts):
    ordered = sorted(counts, reverse=True)
    assert paths(huffman_tree(ordered)) == two_pointers(ordered)
    unsorted_first = [counts[0], *sorted(counts[1:], reverse=True)]
    assert paths(huffman_tree(unsorted_first, compat="word2vec.c")) == two_pointers(unsorted_first)


@settings(deadline=None)
@given(counts=count_lists)
def test_unsorted_counts_get_the_sorted_tree(counts):
    order = np.argsort(-np.array(counts), kind="stable")
    ordered = paths(huffman_tree(np.array(counts)[order]))
    mixed = paths(huffman_tree(counts))
    assert [mixed[word] for word in order] == ordered


@MODES
@settings(deadline=None)
@given(counts=count_lists)
def test_children_lead_along_the_paths(compat, counts):
    tree = huffman_tree(counts, compat=compat)
    children = tree.children()
    assert children.shape == (len(counts), 2)
    for word, (rows, turns) in enumerate(paths(tree)):
        at = 1
        for row, turn in zip(rows, turns):
            assert at == row
            at = int(children[row, turn])
        if rows:
            assert at == -1 - word


@settings(deadline=None)
@given(counts=st.lists(st.integers(0, 20), min_size=2, max_size=300))
def test_gensim_codes_and_points(counts):
    gensim = pytest.importorskip("gensim.models.word2vec")
    vectors = gensim.KeyedVectors(1)
    vectors.add_vectors([str(i) for i in range(len(counts))], np.zeros((len(counts), 1)))
    for i, count in enumerate(counts):
        vectors.set_vecattr(str(i), "count", count)
    gensim._assign_binary_codes(vectors)
    tree = huffman_tree(counts, compat="gensim")
    for word, (rows, turns) in enumerate(paths(tree)):
        if len(vectors.get_vecattr(word, "code")) > MAX_TURNS:
            return  # gensim has no limit
        assert turns == vectors.get_vecattr(word, "code").tolist()
        assert [len(counts) - 1 - row for row in rows] == vectors.get_vecattr(
            word, "point"
        ).tolist()


@MODES
def test_one_and_two_words(compat):
    assert paths(huffman_tree([5], compat=compat)) == [([], [])]
    assert paths(huffman_tree([0], compat=compat)) == [([], [])]
    rows_and_turns = paths(huffman_tree([5, 3], compat=compat))
    assert rows_and_turns == [([1], [1]), ([1], [0])]  # the rarer one is picked first


def test_the_inner_node_wins_ties():
    # 1 + 1 makes 2, which goes before the word of count 2: 2 + 2 and then 2 + 4.
    assert paths(huffman_tree([2, 2, 1, 1])) == [
        ([1], [0]),
        ([1, 2], [1, 1]),
        ([1, 2, 3], [1, 0, 1]),
        ([1, 2, 3], [1, 0, 0]),
    ]


@MODES
@pytest.mark.parametrize("num_words", [2, 3, 64, 100, 1000])
@pytest.mark.parametrize("count", [1, 7, 2**40])
def test_equal_counts_make_a_balanced_tree(compat, num_words, count):
    lengths = huffman_tree([count] * num_words, compat=compat).check().lengths
    assert lengths.max() == (num_words - 1).bit_length()
    assert lengths.max() - lengths.min() <= 1


@MODES
@pytest.mark.parametrize("num_words", [1, 2, 3, 100, 5000])
def test_zero_counts(compat, num_words):
    tree = huffman_tree([0] * num_words, compat=compat).check()
    assert tree.lengths.max() <= MAX_TURNS


def fibonacci(length: int) -> list[int]:
    numbers = [1, 1]
    while len(numbers) < length:
        numbers.append(numbers[-1] + numbers[-2])
    return numbers[::-1]


@MODES
def test_fibonacci_counts_stay_within_64_turns(compat):
    for length in range(60, 91):  # the tree is a chain, of length - 1 turns
        lengths = huffman_tree(fibonacci(length), compat=compat).check().lengths
        assert lengths.max() == length - 1 if length - 1 <= MAX_TURNS else lengths.max() <= 64
        assert np.all(np.diff(lengths) >= 0)


@MODES
def test_counts_whose_sum_passes_64_bits(compat):
    rng = np.random.default_rng(0)
    counts = rng.integers(2**61, 2**63 - 1, 1000, dtype=np.int64)
    if compat == "word2vec.c":
        counts[0] = 2**63 - 1
    tree = huffman_tree(counts, compat=compat).check()
    best = optimal_weight(counts.tolist())
    assert best <= weight(tree, counts.tolist()) <= best * (1 + 1e-12)


def test_huge_counts_are_exact():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 2**52, 2000).tolist()  # their sum is near 2**62
    assert weight(huffman_tree(counts), counts) == optimal_weight(counts)


@MODES
def test_deterministic(compat):
    counts = np.random.default_rng(0).integers(0, 9, 3000)
    assert paths(huffman_tree(counts, compat=compat)) == paths(
        huffman_tree(counts.copy(), compat=compat)
    )


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.uint64])
def test_any_integer_dtype(dtype):
    counts = np.array([9, 5, 5, 1], dtype=dtype)
    assert paths(huffman_tree(counts)) == paths(huffman_tree([9, 5, 5, 1]))
    strided = np.array([9, 0, 5, 0, 5, 0, 1, 0], dtype=dtype)[::2]
    assert paths(huffman_tree(strided)) == paths(huffman_tree([9, 5, 5, 1]))


@MODES
@pytest.mark.parametrize(
    ("counts", "error", "message"),
    [
        ([], ValueError, "empty"),
        ([3, -1], ValueError, "negative"),
        ([[1, 2]], ValueError, "one dimension"),
        ([1.5, 2], TypeError, "integers"),
        (["a"], TypeError, "integers"),
        (np.array([2**63], dtype=np.uint64), ValueError, "2\\*\\*63"),
        ([2**70], TypeError, "integers"),
    ],
)
def test_refuses_bad_counts(compat, counts, error, message):
    with pytest.raises(error, match=message):
        huffman_tree(counts, compat=compat)


def test_refuses_unknown_compat():
    with pytest.raises(ValueError, match="compat"):
        huffman_tree([1, 2], compat="fasttext")


def test_path_refuses_words_outside():
    tree = huffman_tree([3, 2, 1])
    for word in (-1, 3):
        with pytest.raises(IndexError, match="from 0 to 2"):
            tree.path(word)


def spoiled(tree: Tree, name: str, index: int, value: int) -> Tree:
    parts = {part: getattr(tree, part).copy() for part in ("path_offsets", "path_rows", "codes")}
    parts[name][index] = value
    return Tree(**parts)


@settings(deadline=None)
@given(data=st.data())
def test_check_finds_any_wrong_value(data):
    counts = data.draw(st.lists(st.integers(1, 20), min_size=2, max_size=20))
    tree = huffman_tree(counts)
    name = data.draw(st.sampled_from(["path_offsets", "path_rows", "codes"]))
    array = getattr(tree, name)
    index = data.draw(st.integers(0, len(array) - 1))
    value = data.draw(st.integers(0, 2 * len(counts)))
    if name == "codes":  # bits past the end of a code mean nothing
        used = (1 << int(tree.lengths[index])) - 1
        if value & used == int(array[index]):
            return
    elif value == array[index]:
        return
    with pytest.raises(ValueError, match="tree"):
        spoiled(tree, name, index, value).check()


def test_check_finds_arrays_that_do_not_fit():
    tree = huffman_tree([3, 2, 1])
    with pytest.raises(ValueError, match="belong together"):
        Tree(tree.path_offsets[:-1], tree.path_rows, tree.codes).check()
    with pytest.raises(ValueError, match="belong together"):
        Tree(tree.path_offsets, tree.path_rows[:-1], tree.codes).check()
    with pytest.raises(ValueError, match="belong together"):
        Tree(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.uint64)).check()
    with pytest.raises(ValueError, match="single word"):
        Tree(np.array([0, 1]), np.array([1], np.int32), np.zeros(1, np.uint64)).check()


@pytest.mark.parametrize("compat", [None, "word2vec.c", "gensim"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_words_below_one_node_share_their_path(size: int, compat: str | None) -> None:
    counts = np.random.default_rng(size).geometric(0.01, size)
    tree = huffman_tree(np.sort(counts)[::-1].copy(), compat=compat)
    full = Tree(tree.path_offsets, tree.path_rows, tree.codes).check()
    again = full.shared()
    assert again.shared() is again
    for part in ("path_offsets", "path_rows", "codes", "lengths"):
        assert np.array_equal(getattr(again, part), getattr(full, part))
        assert getattr(again, part).dtype == getattr(full, part).dtype
    for word in range(0, size, 7):
        for one, other in zip(again.path(word), full.path(word), strict=True):
            assert np.array_equal(one, other)
    if size == 1000:
        assert 3 * len(again.native[1]) < 2 * len(full.path_rows)
    (paths, rows), (full_paths, full_rows) = again.native, full.native
    assert len(rows) <= len(full_rows) and np.array_equal(paths % 128, full_paths % 128)
