"""Scores on tests of analogies and of human judgments of similarity."""

from __future__ import annotations

import logging
import os
from typing import Any

import numpy as np

from fastrnn.word2vec._formats.opening import reading
from fastrnn.word2vec.keyed_vectors._analogies import answer_analogies
from fastrnn.word2vec.keyed_vectors._comparisons import Comparisons
from fastrnn.word2vec.keyed_vectors._correlation import Correlation, pearson, spearman

logger = logging.getLogger(__name__)

_LONGEST_LINE = 1 << 16
Quadruple = tuple[str, str, str, str]


class Evaluation(Comparisons):
    """``evaluate_word_analogies`` and ``evaluate_word_pairs``, with gensim's results."""

    def evaluate_word_analogies(
        self,
        analogies: str | os.PathLike[str],
        restrict_vocab: int | None = 300000,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
        similarity_function: str = "most_similar",
    ) -> tuple[float, list[dict[str, Any]]]:
        """Share of analogies "a is to b as c is to d" that the vectors answer with d.

        Args:
            analogies: a file of lines ``a b c d``, in sections that begin with ``: name``
                (questions-words.txt).
            restrict_vocab: look at the first so many keys only; lines with others are left out.
            case_insensitive: compare upper-cased; of words that are then the same, the first
                counts.
            dummy4unknown: count lines with unknown words as wrong rather than leave them out.
            similarity_function: "most_similar" (3CosAdd) or "most_similar_cosmul" (3CosMul; gensim
                has the argument, too, but ignores it).

        Returns the score and one dictionary a section, with "section" (its name), "correct" and
        "incorrect" (lists of ``(a, b, c, d)``); the last is "Total accuracy".  Raises
        ``ValueError`` for a line before any section, and for a file without any analogy.
        """
        if similarity_function not in {"most_similar", "most_similar_cosmul"}:
            raise ValueError(
                "similarity_function must be 'most_similar' or 'most_similar_cosmul', "
                f"not {similarity_function!r}"
            )
        words = self.index_to_key[:restrict_vocab]
        index = self._first_indices(words, case_insensitive)
        sections, lines = _read_analogies(os.fspath(analogies), case_insensitive)
        known = [(section, quad) for section, quad in lines if all(word in index for word in quad)]
        spelled = [word.upper() for word in words] if case_insensitive else words

        def acceptable(question: int, row: int) -> bool:
            return spelled[row] not in known[question][1][:3]

        answers = answer_analogies(
            self.vectors[: len(words)],
            self._all_norms()[: len(words)],
            [(index[a], index[b], index[c]) for _, (a, b, c, _) in known],
            acceptable,
            multiply=similarity_function == "most_similar_cosmul",
        )
        # In the file's order, which unknown words counted as wrong must keep.
        found = iter(answers)
        unknown = 0
        for place, quad in lines:
            section = sections[place]
            if all(word in index for word in quad):
                row = next(found)
                correct = row >= 0 and spelled[row] == quad[3]
                section["correct" if correct else "incorrect"].append(quad)
            else:
                unknown += 1
                if dummy4unknown:
                    section["incorrect"].append(quad)
        total = {
            "section": "Total accuracy",
            "correct": [quad for section in sections for quad in section["correct"]],
            "incorrect": [quad for section in sections for quad in section["incorrect"]],
        }
        sections.append(total)
        for section in sections:
            _log_section(section)
        logger.info("analogies with unknown words: %.1f%%", 100 * unknown / len(lines))
        return _accuracy(total), sections

    def evaluate_word_pairs(
        self,
        pairs: str | os.PathLike[str],
        delimiter: str = "\t",
        encoding: str = "utf8",
        restrict_vocab: int | None = 300000,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
    ) -> tuple[Correlation, Correlation, float]:
        """Correlation of the vectors' cosines with human judgments of similarity.

        Args:
            pairs: a file of lines ``word word number`` (WordSim-353, SimLex-999); lines that begin
                with ``#``, and those of another shape, are left out.
            delimiter: what separates the three.
            encoding: of the file.
            restrict_vocab: look at the first so many keys only.
            case_insensitive: compare upper-cased.
            dummy4unknown: take 0 for the similarity of unknown words rather than leave them out.

        Returns Pearson's r and Spearman's rho, each with its two-sided p-value (as SciPy computes
        it, from Student's t with n - 2 degrees of freedom; NaN where SciPy has NaN), and the
        percentage of pairs with unknown words.  Raises ``ValueError`` if no pair is left.
        """
        index = self._first_indices(self.index_to_key[:restrict_vocab], case_insensitive)
        name = os.fspath(pairs)
        human, ours, unknown = [], [], 0
        with reading(name) as file:
            number = -1
            while line := file.readline(_LONGEST_LINE):
                number += 1
                text = line.decode(encoding)
                if text.startswith("#"):
                    continue
                parts = (text.upper() if case_insensitive else text).split(delimiter)
                try:
                    a, b, score = parts
                    judged = float(score)
                except ValueError:
                    logger.info("Skipping invalid line #%d in %s", number, name)
                    continue
                if a in index and b in index:
                    human.append(judged)
                    ours.append(self.similarity(int(index[a]), int(index[b])))
                else:
                    unknown += 1
                    if dummy4unknown:
                        human.append(judged)
                        ours.append(0.0)
        if len(human) < 2:
            raise ValueError(
                f"No valid similarity judgements found in {name}: either invalid format or "
                f"all (but {len(human)}) are out-of-vocabulary in {self}"
            )
        x, y = np.array(human), np.array(ours)
        linear, ranked = pearson(x, y), spearman(x, y)
        share = 100 * unknown / (len(human) if dummy4unknown else len(human) + unknown)
        logger.info("Pearson correlation coefficient against %s: %.4f", name, linear.statistic)
        logger.info("Spearman correlation coefficient against %s: %.4f", name, ranked.statistic)
        logger.info("Pairs with unknown words ratio: %.1f%%", share)
        return linear, ranked, share

    def _first_indices(self, words: list[Any], case_insensitive: bool) -> dict[str, int]:
        spelled = [word.upper() for word in words] if case_insensitive else words
        return {word: len(words) - 1 - i for i, word in enumerate(reversed(spelled))}


def _read_analogies(
    name: str, case_insensitive: bool
) -> tuple[list[dict[str, Any]], list[tuple[int, Quadruple]]]:
    """Empty sections, and each analogy with the number of its section."""
    sections: list[dict[str, Any]] = []
    lines: list[tuple[int, Quadruple]] = []
    with reading(name) as file:
        number = -1
        while line := file.readline(_LONGEST_LINE):
            number += 1
            text = line.decode("utf-8")
            if text.startswith(": "):
                title = text.lstrip(": ").strip()
                sections.append({"section": title, "correct": [], "incorrect": []})
                continue
            if not sections:
                raise ValueError(f"Missing section header before line #{number} in {name}")
            parts = (text.upper() if case_insensitive else text).split()
            if len(parts) != 4:
                logger.info("Skipping invalid line #%d in %s", number, name)
                continue
            lines.append((len(sections) - 1, (parts[0], parts[1], parts[2], parts[3])))
    if not lines:
        raise ValueError(f"no analogies found in {name}")
    return sections, lines


def _accuracy(section: dict[str, Any]) -> float:
    correct, incorrect = len(section["correct"]), len(section["incorrect"])
    return correct / (correct + incorrect) if correct + incorrect else 0.0


def _log_section(section: dict[str, Any]) -> None:
    correct, incorrect = len(section["correct"]), len(section["incorrect"])
    if correct + incorrect:
        logger.info(
            "%s: %.1f%% (%i/%i)",
            section["section"],
            100 * _accuracy(section),
            correct,
            correct + incorrect,
        )
