"""Reading corpora: vocabulary and encoding in one pass over the source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.word2vec._array_scan import ArrayScan
from fastrnn.word2vec._encoded import EncodedCorpus, load_with_header
from fastrnn.word2vec._inputs import Arrays, Lists, Text, read_source
from fastrnn.word2vec._list_scan import KnownListScan, ListScan, PrunedListScan
from fastrnn.word2vec._reselect import counts_of, reencode, reselect
from fastrnn.word2vec._spooled import rereadable, rewind
from fastrnn.word2vec._text_scan import TextScan
from fastrnn.word2vec._vocabulary import (
    TrimRule,
    Vocabulary,
    check_compat,
    check_count,
    select_words,
)
from fastrnn.word2vec.sentences import MAX_WORDS_IN_BATCH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastrnn.word2vec._raw_counts import RawCounts
    from fastrnn.word2vec._scan import Encoder, Progress

__all__ = ["EncodedCorpus", "count_words", "encode_corpus", "read_corpus"]

_Path = str | os.PathLike[str]


def read_corpus(
    source: Any,
    *,
    min_count: int,
    max_vocab_size: int | None = None,
    max_final_vocab: int | None = None,
    trim_rule: TrimRule | None = None,
    sorted_vocab: bool = True,
    compat: str | None = None,
    threads: int,
    cache: _Path | None = None,
    progress: Progress | None = None,
    errors: str = "strict",
) -> tuple[Vocabulary, EncodedCorpus]:
    """The vocabulary of a corpus, and the corpus encoded with it.

    Args:
        source: a path (text, one sentence a line, words separated by white space; .gz, .bz2, .xz
            and .zst are decompressed), a folder of such files, an open file, ``LineSentence`` and
            its kin, an iterable or iterator of lists of words, integers (a 1-D array is one
            sentence, a 2-D array has one a row; a list of arrays; ``(ids, offsets)``), for which
            the words are their digits, or an ``EncodedCorpus``.
        min_count: rarer words are dropped.
        max_vocab_size: while reading, prune rare words beyond so many different ones, exactly as
            gensim does. Text is then counted on one thread, and read again if words were pruned.
        max_final_vocab: raises ``min_count`` until at most so many words are left.
        trim_rule: function of (word, count, min_count) with the last word on what is kept.
        sorted_vocab: ids by descending count, ties by first appearance; otherwise all by first
            appearance.
        compat: ``"gensim"``: of words of the same count the one seen last comes first;
            ``"word2vec.c"``: word 0 is ``</s>`` with the number of line ends as its count, and
            text is separated at space, tab, CR and LF alone (words longer than 99 bytes stay
            whole, and a CR separates, both unlike there).
        threads: for text; the result does not depend on it.
        cache: a file that the encoded corpus is written to and mapped from. Made of the same
            unchanged files with the same settings (and no ``trim_rule``), it is used instead of
            reading the source.
        progress: called as ``progress(done, total)`` now and then, with bytes of files or
            sentences of lists; total is 0 where unknown.
        errors: of bytes that are no UTF-8: ``"strict"``, ``"ignore"`` or ``"replace"``.

    Raises:
        TypeError: for a source that can't be sentences, with advice.
        ValueError: for an empty corpus, where no word is kept, and for a damaged cache.
        OSError: for files that can't be read.
        UnicodeDecodeError: names the file and the place.
    """
    rules: dict[str, Any] = {
        "min_count": min_count,
        "max_final_vocab": max_final_vocab,
        "trim_rule": trim_rule,
        "sort": sorted_vocab,
        "compat": compat,
    }
    _check(threads, max_vocab_size, compat)
    if isinstance(source, EncodedCorpus) and source.vocabulary is not None:
        return reselect(source, source.vocabulary, rules, MAX_WORDS_IN_BATCH)
    parsed = _parse(source)
    text = _text_key(parsed, compat, errors, MAX_WORDS_IN_BATCH)
    key = {**rules, "trim_rule": None, "max_vocab_size": max_vocab_size}
    if cache is not None and (found := _cached(cache, text)) is not None:
        corpus, made_with = found
        if trim_rule is None and made_with == key and corpus.vocabulary is not None:
            return corpus.vocabulary, corpus
    options: dict[str, Any] = {"threads": threads, "errors": errors, "progress": progress}
    scan: Encoder
    if max_vocab_size is not None and not isinstance(parsed, Arrays):
        with rereadable(parsed) as source_twice:
            raw, first = _pruned(source_twice, max_vocab_size, trim_rule, compat, options)
            vocabulary, final_ids = select_words(raw, **rules)
            if first is None:
                rewind(source_twice)
                scan, final_ids = _known(source_twice, vocabulary, compat, options)
            else:
                scan = first
    else:
        scan, raw = _scan(parsed, compat, options)
        vocabulary, final_ids = select_words(raw, **rules)
    corpus = _encode(scan, final_ids, vocabulary, MAX_WORDS_IN_BATCH, raw)
    if cache is None:
        return vocabulary, corpus
    made_with_now = key if trim_rule is None else None
    corpus.save(cache, header={"text": text, "vocabulary": made_with_now})
    return vocabulary, EncodedCorpus.load(cache)


def count_words(
    source: Any,
    *,
    threads: int,
    max_vocab_size: int | None = None,
    trim_rule: TrimRule | None = None,
    compat: str | None = None,
    progress: Progress | None = None,
    errors: str = "strict",
) -> RawCounts:
    """Counts of all words of a corpus, without encoding it; arguments as for ``read_corpus``."""
    _check(threads, max_vocab_size, compat)
    if isinstance(source, EncodedCorpus) and source.vocabulary is not None:
        return counts_of(source, source.vocabulary)
    parsed = _parse(source)
    options: dict[str, Any] = {"threads": threads, "errors": errors, "progress": progress}
    if max_vocab_size is not None and not isinstance(parsed, Arrays):
        return _pruned(parsed, max_vocab_size, trim_rule, compat, options, keep_ids=False)[0]
    return _scan(parsed, compat, options, keep_ids=False)[1]


def encode_corpus(
    source: Any,
    vocabulary: Vocabulary,
    *,
    threads: int,
    cache: _Path | None = None,
    max_sentence_length: int = MAX_WORDS_IN_BATCH,
    progress: Progress | None = None,
    errors: str = "strict",
) -> EncodedCorpus:
    """A corpus encoded with a vocabulary that is known; arguments as for ``read_corpus``.

    Args:
        source: as for ``read_corpus``.
        vocabulary: other words are left out.
        threads: for text.
        cache: reused if made of the same files with the same vocabulary.
        max_sentence_length: words of the vocabulary after which a sentence is cut.
        progress: as for ``read_corpus``.
        errors: as for ``read_corpus``.
    """
    _check(threads, None, None)
    check_count("max_sentence_length", max_sentence_length, least=1)
    if isinstance(source, EncodedCorpus) and source.vocabulary is not None:
        final_ids = _ids_in(source.vocabulary.words, vocabulary)
        return reencode(source, vocabulary, final_ids, max_sentence_length)
    parsed = _parse(source)
    text = _text_key(parsed, vocabulary.compat, errors, max_sentence_length)
    if cache is not None and (found := _cached(cache, text)) is not None:
        known = found[0].vocabulary
        if known is not None and known.digest == vocabulary.digest:
            return found[0]
    options: dict[str, Any] = {"threads": threads, "errors": errors, "progress": progress}
    scan, final_ids = _known(parsed, vocabulary, vocabulary.compat, options)
    corpus = _encode(scan, final_ids, vocabulary, max_sentence_length, None)
    if cache is None:
        return corpus
    corpus.save(cache, header={"text": text, "vocabulary": None})
    return EncodedCorpus.load(cache)


def _check(threads: int, max_vocab_size: int | None, compat: str | None) -> None:
    check_count("threads", threads, least=1)
    check_compat(compat)
    if max_vocab_size is not None:
        check_count("max_vocab_size", max_vocab_size, least=1)


def _parse(source: Any) -> Text | Lists | Arrays:
    if isinstance(source, EncodedCorpus):
        return Arrays(source.ids, np.asarray(source.offsets))
    return read_source(source)


def _scan(
    parsed: Text | Lists | Arrays,
    compat: str | None,
    options: dict[str, Any],
    *,
    keep_ids: bool = True,
) -> tuple[Encoder, RawCounts]:
    """One pass."""
    if isinstance(parsed, Arrays):
        arrays = ArrayScan(parsed)
        return arrays, arrays.raw
    if isinstance(parsed, Lists):
        lists = ListScan(parsed, progress=options["progress"])
        return lists, lists.raw
    text = TextScan(parsed, keep_ids=keep_ids, as_word2vec_c=compat == "word2vec.c", **options)
    return text, text.raw


def _pruned(
    parsed: Text | Lists,
    max_vocab_size: int,
    trim_rule: TrimRule | None,
    compat: str | None,
    options: dict[str, Any],
    *,
    keep_ids: bool = True,
) -> tuple[RawCounts, Encoder | None]:
    """One pass that prunes; it can encode only if nothing had to be pruned."""
    if isinstance(parsed, Lists):
        lists = PrunedListScan(parsed, max_vocab_size, trim_rule, progress=options["progress"])
        return lists.raw, None
    text = TextScan(
        parsed,
        max_vocab_size=max_vocab_size,
        trim_rule=trim_rule,
        keep_ids=keep_ids,
        as_word2vec_c=compat == "word2vec.c",
        **options,
    )
    return text.raw, text if text.complete else None


def _known(
    parsed: Text | Lists | Arrays,
    vocabulary: Vocabulary,
    compat: str | None,
    options: dict[str, Any],
) -> tuple[Encoder, NDArray[np.int32]]:
    """One pass that looks words up, and the final ids of what it found."""
    if isinstance(parsed, Arrays):
        arrays = ArrayScan(parsed)
        return arrays, _ids_in(arrays.raw.words, vocabulary)
    final_ids = np.arange(len(vocabulary), dtype=np.int32)
    if compat == "word2vec.c":
        final_ids[:1] = -2
    if isinstance(parsed, Lists):
        return KnownListScan(parsed, vocabulary.index), final_ids
    as_word2vec_c = compat == "word2vec.c"
    words = [word or " no word of a text " for word in vocabulary.words]
    return TextScan(parsed, vocabulary=words, as_word2vec_c=as_word2vec_c, **options), final_ids


def _ids_in(words: list[str], vocabulary: Vocabulary) -> NDArray[np.int32]:
    return np.array([vocabulary.index.get(word, -1) for word in words], np.int32)


def _encode(
    scan: Any,
    final_ids: NDArray[np.int32],
    vocabulary: Vocabulary,
    longest: int,
    raw: RawCounts | None,
) -> EncodedCorpus:
    ids, offsets = scan.encode(final_ids, longest)
    counted = scan.raw if raw is None and isinstance(scan, ArrayScan) else raw
    words = scan.total_words if counted is None else counted.total_words
    sentences = scan.sentences if counted is None else counted.sentences
    return EncodedCorpus(ids, offsets, vocabulary, words, sentences)


def _text_key(
    parsed: Text | Lists | Arrays, compat: str | None, errors: str, longest: int
) -> dict[str, Any] | None:
    """What the encoded text depends on, beside the vocabulary; None: not known to be the same."""
    files = parsed.fingerprint if isinstance(parsed, Text) else None
    if not isinstance(parsed, Text) or files is None:
        return None
    return {
        "files": files,
        "lines": parsed.lines,
        "longest_raw": parsed.longest_raw,
        "longest": longest,
        "as_word2vec_c": compat == "word2vec.c",
        "errors": errors,
    }


def _cached(
    cache: _Path, text: dict[str, Any] | None
) -> tuple[EncodedCorpus, dict[str, Any] | None] | None:
    """A cache made of the same text, and what its vocabulary was made with.

    A file that is no cache raises, so that no other file is ever overwritten.
    """
    if not Path(cache).exists():
        return None
    corpus, made_of = load_with_header(cache)
    if text is None or made_of is None or made_of.get("text") != text:
        return None
    return corpus, made_of.get("vocabulary")
