"""Probabilities that a trained model gives to words and texts."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import _core
from fastrnn.word2vec._building import one_source
from fastrnn.word2vec._corpus import encode_corpus
from fastrnn.word2vec._probability import likeliest_words, log_probabilities, num_predictions
from fastrnn.word2vec._state import ModelState, logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from fastrnn.word2vec._corpus import EncodedCorpus

_WHOLE = 2**31 - 1  # sentences are scored whole


class Scoring(ModelState):
    """``score``, ``predict_output_word`` and what is built on them; see ``Word2Vec``."""

    def score(
        self,
        sentences: Any,
        total_sentences: int | None = None,
        chunksize: int = 100,
        queue_factor: int = 2,
        report_delay: float = 1,
    ) -> NDArray[np.float64]:
        """Log-likelihood (natural logarithm) of each sentence under hierarchical softmax, ``[S]``.

        Every word is predicted from all words at most ``window`` places away: from their mean (or
        sum) by CBOW, from each of them by skip-gram.  Unknown words are left out, none is thinned,
        and a sentence without predictions scores 0.  The sums are exact, where gensim's leave out
        every turn that is nearly certain, right or wrong (products beyond 6).

        Args:
            sentences: sentences, or whatever else ``build_vocab`` takes as ``corpus_iterable``.
            total_sentences: score no more than so many (gensim: a million by default).
            chunksize: not used; there for gensim's sake, as are queue_factor and report_delay.
            queue_factor: not used.
            report_delay: not used.

        Raises:
            RuntimeError: there is no vocabulary, or ``hs`` is off.
        """
        del chunksize, queue_factor, report_delay
        scores = self._score(self._held_out(sentences))
        return scores if total_sentences is None else scores[:total_sentences]

    def log_likelihood(self, sentences: Any) -> float:
        """The sum of ``score(sentences)``."""
        return float(self.score(sentences).sum())

    def perplexity(self, sentences: Any) -> float:
        """exp(-log-likelihood / number of predictions) of held-out text: lower is better.

        Raises ValueError if there is nothing to predict, and what ``score`` raises.
        """
        corpus = self._held_out(sentences)
        count = num_predictions(np.diff(corpus.offsets), self.window, bool(self.sg))
        if count == 0:
            raise ValueError("there is no sentence with two words of the vocabulary")
        return math.exp(-float(self._score(corpus).sum()) / count)

    def word_probabilities(
        self, context_words_list: Sequence[str | int] | Sequence[Sequence[str | int]]
    ) -> NDArray[np.float64]:
        """Probability of every word between these context words, by hierarchical softmax.

        ``[V]``, in the order of ``wv.index_to_key``, summing to 1; ``[B, V]`` for a list of B
        contexts.  As in ``predict_output_word`` the context's vectors are averaged (summed with
        ``cbow_mean=0``), in skip-gram models too.

        Raises:
            RuntimeError: there is no vocabulary, or ``hs`` is off.
            ValueError: no word of a context is in the vocabulary.
        """
        self._require_tree("word_probabilities")
        batched = len(context_words_list) > 0 and not isinstance(
            context_words_list[0], (str, int, np.integer)
        )
        contexts: Any = context_words_list if batched else [context_words_list]
        hidden = []
        for context in contexts:
            vector = self._hidden(context)
            if vector is None:
                raise ValueError(f"no word of the context {context!r} is in the vocabulary")
            hidden.append(vector)
        assert self._nodes is not None
        result = np.exp(log_probabilities(self._nodes_of_tree(), self._nodes, np.array(hidden)))
        return result if batched else result[0]

    def predict_output_word(
        self,
        context_words_list: Iterable[str | int],
        topn: int | None = 10,
        *,
        output: str | None = None,
    ) -> list[tuple[str, float]] | None:
        """The likeliest words between these context words, with their probabilities.

        By hierarchical softmax they are exact: the tree is searched from the likeliest branch on,
        which looks at a few hundred nodes where there are hundreds of thousands.  By negative
        sampling, as in gensim, they are a softmax over the output vectors, which were not trained
        for one, so only their order means much.

        Args:
            context_words_list: words or their numbers; unknown ones are left out.  Their vectors
                are averaged (summed with ``cbow_mean=0``), in skip-gram models too.
            topn: how many; None for all.
            output: ``"hs"`` or ``"negative"``; by default, as in gensim, negative sampling if the
                model has it.

        Returns:
            (word, probability) pairs, or None if no context word is known.

        Raises:
            RuntimeError: there is no vocabulary, or the output asked for is off.
        """
        if output not in (None, "hs", "negative"):
            raise ValueError(f'output must be "hs" or "negative", not {output!r}')
        if self._vocabulary is None:
            raise RuntimeError("Parameters required for predicting the output words not found.")
        if topn is None:
            topn = len(self.wv)
        if isinstance(context_words_list, str):
            context_words_list = [context_words_list]
        hidden = self._hidden(context_words_list)
        if hidden is None:
            logger.warning(
                "All the input context words are out-of-vocabulary for the current model."
            )
            return None
        words = self.wv.index_to_key
        if output == "hs" or (output is None and self._negatives is None):
            self._require_tree("predict_output_word")
            assert self._nodes is not None
            found = islice(likeliest_words(self._nodes_of_tree(), self._nodes, hidden), topn)
            return [(words[word], math.exp(value)) for word, value in found]
        if self._negatives is None:
            raise RuntimeError("the model was not trained with negative sampling")
        products = self.syn1neg @ hidden
        values = np.exp(products - products.max())
        values /= values.sum()
        best = np.argsort(-values, kind="stable")[:topn]
        return [(words[word], float(values[word])) for word in best]

    def _hidden(self, context: Iterable[str | int]) -> NDArray[np.float64] | None:
        """The context's mean or sum; None without known words."""
        known = [self.wv.get_index(word) for word in context if word in self.wv]
        if not known:
            return None
        vectors = self.wv.vectors[known].astype(np.float64)
        hidden: NDArray[np.float64] = vectors.mean(0) if self.cbow_mean else vectors.sum(0)
        return hidden

    def _held_out(self, sentences: Any) -> EncodedCorpus:
        if self._vocabulary is None:
            raise RuntimeError("you must first build vocabulary before scoring new data")
        self._require_tree("score")
        source = one_source(sentences, None)
        return encode_corpus(
            source, self._vocabulary, threads=self.workers, max_sentence_length=_WHOLE
        )

    def _score(self, corpus: EncodedCorpus) -> NDArray[np.float64]:
        assert self._nodes is not None
        paths, rows = self.tree.native
        self._own_weights(writable=False)
        scores: NDArray[np.float64] = _core.word2vec.score_sentences(
            vectors=self._inputs,
            node_vectors=self._nodes,
            vector_size=self.vector_size,
            ids=corpus.ids,
            offsets=corpus.offsets,
            paths=paths,
            path_rows=rows,
            codes=self.tree.codes,
            window=self.window,
            sg=bool(self.sg),
            cbow_mean=bool(self.cbow_mean),
            threads=self.workers,
        )
        return scores

    def _require_tree(self, what: str) -> None:
        if self._vocabulary is None:
            raise RuntimeError(f"you must first build vocabulary before calling {what}")
        if self._tree is None or self._nodes is None:
            raise RuntimeError(
                f"{what} needs hierarchical softmax: the model must be trained with hs=1"
            )
