"""The word2vec benchmark itself, with stand-ins for contestants.  No timing is asserted."""

from __future__ import annotations

import dataclasses
import gzip
import math
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from fastrnn.benchmark.word2vec import (
    c_tool,
    chart,
    command,
    contestants,
    corpus,
    likelihood,
    quality,
    report,
    runner,
    verdict,
    worker,
)
from fastrnn.benchmark.word2vec.settings import (
    C_TOOL,
    DETERMINISTIC,
    FLOORS,
    GENSIM,
    MODES,
    OURS,
    Settings,
    Training,
)
from fastrnn.word2vec import KeyedVectors

TEXT = "the cat sat on the mat\nthe dog sat on the cat\n\na rare line\n" * 5 + "once"
BEST = f"{C_TOOL} fast"


class Fake:
    """Trains at a given rate, and writes which seed it was given as its vectors."""

    def __init__(self, name: str, rate: float, log: list[tuple[str, str]] | None = None) -> None:
        self.name, self.rate, self.log = name, rate, [] if log is None else log

    def train(
        self, training: Training, text: corpus.Corpus, vectors: Path | None
    ) -> dict[str, Any]:
        self.log.append((training.mode, self.name))
        if vectors:
            vectors.write_text(f"{self.name} {training.seed}", encoding="utf-8")
        found: dict[str, Any] = {"words_per_second": self.rate}
        if not self.name.startswith(C_TOOL):
            memory = 4 * (2 * text.vocabulary * training.dim + text.in_vocabulary)
            found |= {"vocabulary_seconds": 3e5 / self.rate}
            found |= {"memory": memory, "vocabulary_memory": 7}
        return found


@pytest.fixture
def text(tmp_path: Path) -> corpus.Corpus:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return corpus.measure(path, min_count=5)


def run(text: corpus.Corpus, *who: Fake, **changes: Any) -> dict[str, Any]:
    settings = Settings(**{"rounds": 2, **changes})
    result = runner.start(settings, text)
    runner.run_speed(result, settings, who, text)
    return result


@pytest.fixture
def good(text: corpus.Corpus) -> dict[str, Any]:
    """A run that meets every floor of speed, vocabulary and memory."""
    return run(
        text, Fake(OURS, 5e6), Fake(DETERMINISTIC, 4e6), Fake(GENSIM, 1e6), Fake(BEST, 1.1e6)
    )


def test_corpus_is_counted(text: corpus.Corpus) -> None:
    assert (text.lines, text.words, text.types) == (21, 76, 10)
    # the 20, cat 10, sat 10, on 10, mat 5, dog 5, a 5, rare 5, line 5
    assert (text.vocabulary, text.in_vocabulary) == (9, 75)
    assert "/" not in text.as_dict()["path"]  # results are published


def test_corpus_is_unpacked(tmp_path: Path) -> None:
    packed = tmp_path / "text.txt.gz"
    packed.write_bytes(gzip.compress(TEXT.encode()))
    (tmp_path / "out").mkdir()
    plain = corpus.unpack(packed, tmp_path / "out")
    assert plain == tmp_path / "out" / "text.txt"
    assert plain.read_text(encoding="utf-8") == TEXT
    assert corpus.unpack(plain, tmp_path) == plain


def test_split_keeps_every_line(text: corpus.Corpus, tmp_path: Path) -> None:
    first, last = corpus.split(text.path, tmp_path, share=0.2)
    assert first.read_bytes() + last.read_bytes() == text.path.read_bytes()
    assert len(last.read_bytes().split(b"\n")) == 4
    single = tmp_path / "one.txt"
    single.write_text("one line", encoding="utf-8")
    with pytest.raises(ValueError, match="takes two"):
        corpus.split(single, tmp_path)


def test_contestants_take_turns(text: corpus.Corpus) -> None:
    log: list[tuple[str, str]] = []
    run(text, Fake("a", 1, log), Fake("b", 1, log), modes=("sg-hs", "cbow-hs"))
    assert log == [(mode, name) for mode in ("sg-hs", "cbow-hs") for name in "abab"]


def test_ratios_and_floors(good: dict[str, Any]) -> None:
    assert verdict.problems(good) == []
    (row,) = (row for row in good["rows"] if row["mode"] == "sg-hs")
    assert row["over_gensim"] == 5
    assert row["best_c"] == BEST
    assert row["over_best_c"] == pytest.approx(5 / 1.1)
    assert (row["over_gensim_floor"], row["over_best_c_floor"]) == (4.5, 3)
    assert row["deterministic_share"] == 0.8
    assert row["contestants"][OURS]["rates"] == [5e6, 5e6]
    assert good["vocabulary"]["over_gensim"] == pytest.approx(5)
    assert all(found["ratio"] == 1 for found in good["memory"])


def test_the_fastest_build_counts(text: corpus.Corpus) -> None:
    slow, fast = Fake(f"{C_TOOL} slow", 1e6), Fake(f"{C_TOOL} other", 4e6)
    (row,) = run(text, Fake(OURS, 5e6), slow, fast, modes=("sg-hs",))["rows"]
    assert row["best_c"] == fast.name
    assert row["over_best_c"] == 1.25
    assert row["over_gensim"] is None


def test_floors_hold_at_one_size_only(text: corpus.Corpus) -> None:
    slow = run(text, Fake(OURS, 1e6), Fake(GENSIM, 2e6), dims=(300,), threads=(1, 2))
    assert all(row["over_gensim_floor"] is None for row in slow["rows"])
    assert verdict.problems(slow) == ["vocabulary: 0.50 times gensim, floor 4"]


def test_misses_are_found(text: corpus.Corpus) -> None:
    result = run(
        text, Fake(OURS, 1e6), Fake(DETERMINISTIC, 5e5), Fake(GENSIM, 1e6), Fake(BEST, 1e6)
    )
    result["memory"][0]["ratio"] = 1.3
    found = verdict.problems(result)
    for line in (
        "cbow-hs, d = 100, threads 2: 1.00 times gensim, floor 2.2",
        "sg-ns5, d = 100, threads 2: 1.00 times the best word2vec.c, floor 4.2",
        "sg-hs, d = 100, threads 2: deterministic at 50% of full speed, floor 60%",
        "vocabulary: 1.00 times gensim, floor 4",
        "cbow-hs, d = 100, threads 2: peak memory 1.30 times matrices and ids, limit 1.2",
    ):
        assert line in found
    assert len(found) == 4 + 4 + 4 + 1 + 1
    assert report.full_report(result).count("✗") == 4 + 4 + 1 + 1 + 1 + 1  # one explains them


def fake_evaluator(offsets: dict[str, float]) -> quality.Evaluator:
    def evaluate(path: Path) -> quality.Scores:
        name, _, seed = path.read_text(encoding="utf-8").rpartition(" ")
        return {quality.ANALOGIES: 0.1 + 0.01 * int(seed) + offsets.get(name, 0)}

    return evaluate


def measure_quality(
    text: corpus.Corpus, folder: Path, offsets: dict[str, float]
) -> list[dict[str, Any]]:
    who = [Fake(OURS, 1), Fake(GENSIM, 1)]
    settings = Settings(modes=("sg-hs",))
    evaluate = fake_evaluator(offsets)
    rows, checked = quality.measure(settings, who, text, folder, evaluate, (1, 2, 3), evaluate)
    assert checked == {quality.ANALOGIES: [pytest.approx(0.11 + offsets.get(OURS, 0))] * 2}
    return rows


@pytest.mark.parametrize(("offset", "missed"), [(-0.009, 0), (-0.011, 1), (0.5, 0)])
def test_quality_within_one_standard_deviation(
    text: corpus.Corpus, tmp_path: Path, good: dict[str, Any], offset: float, missed: int
) -> None:
    good["quality"] = measure_quality(text, tmp_path, {OURS: offset})  # deviation: 0.01
    score = good["quality"][0]["scores"][OURS][quality.ANALOGIES]
    assert score["mean"] == pytest.approx(0.12 + offset)
    assert score["stdev"] == pytest.approx(0.01)
    assert len(verdict.problems(good)) == missed
    table = report.quality_table(good)
    assert table is not None
    assert table.count("✗") == missed


def test_gaps_without_scatter() -> None:
    one = {"mean": 0.2, "stdev": 0.0}
    assert quality.below(one, one) == 0
    assert quality.below(one, {"mean": 0.3, "stdev": 0.0}) == math.inf
    assert math.isnan(quality.below(one, {"mean": 0.3, "stdev": math.nan}))


def test_evaluators_must_agree(tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    path.write_text("x 1", encoding="utf-8")
    quality.check_evaluators(path, fake_evaluator({}), fake_evaluator({"x": 1e-5}))
    with pytest.raises(RuntimeError, match="disagree on analogies"):
        quality.check_evaluators(path, fake_evaluator({}), fake_evaluator({"x": 1e-3}))


def test_likelihood_is_relative_to_strict_mode(good: dict[str, Any]) -> None:
    values = {likelihood.STRICT: -200.0, "fast": -200.9, "slow": -201.1, "better": -190.0}
    found = likelihood.relative(values)
    assert found == pytest.approx({"fast": 0.0045, "slow": 0.0055, "better": -0.05})
    good["likelihood"] = [{"mode": "sg-hs", "dim": 100, "threads": 2, "log_likelihood": values}]
    (line,) = verdict.problems(good)
    assert "slow is 0.55% below strict" in line
    table = report.likelihood_table(good)
    assert table is not None
    assert table.count("✗") == 1


def fake_binary(folder: Path, *lines: str, code: int = 0) -> c_tool.CTool:
    """Prints what word2vec.c would, every line at its own time."""
    path = folder / "tool"
    body = "\n".join(f"say({line!r})" for line in lines)
    path.write_text(
        f"#!{sys.executable}\nimport sys, time\n"
        "def say(text):\n    sys.stdout.write(text); sys.stdout.flush(); time.sleep(0.1)\n"
        f"{body}\nsys.exit({code})\n",
        encoding="utf-8",
    )
    path.chmod(0o755)
    return c_tool.CTool("fake", path)


def progress(percent: float) -> str:
    return f"\rAlpha: 0.02  Progress: {percent:.2f}%  Words/thread/sec: 1k  "


def test_c_tool_s_speed_is_its_progress_over_time(text: corpus.Corpus, tmp_path: Path) -> None:
    start = "Vocab size: 10\nWords in train file: 123\n"
    tool = fake_binary(tmp_path, start, progress(10), progress(30), progress(60), "done\n")
    sample = tool.train(Training("sg-hs", epochs=3), text, None)
    assert sample["words"] == pytest.approx(0.5 * 75 * 3)
    assert 0.19 < sample["seconds"] < sample["process_seconds"] - 0.2
    assert sample["words_in_train_file"] == 123


@pytest.mark.parametrize(
    ("lines", "code", "message"),
    [((progress(50),), 0, "more text"), (("no\n",), 0, "more text"), (("ouch\n",), 3, "ouch")],
)
def test_c_tool_s_failures(
    text: corpus.Corpus, tmp_path: Path, lines: tuple[str, ...], code: int, message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        fake_binary(tmp_path, *lines, code=code).train(Training("sg-hs"), text, None)


def test_everybody_gets_the_same_settings() -> None:
    training = Settings(sample=1e-4, window=7).training("cbow-ns5", 64, 2, seed=9)
    flags = c_tool.arguments(training, Path("text"), None)
    c = dict(zip(flags[::2], flags[1::2]))
    ours = worker.options(training.as_dict())
    for flag, name in {
        "-size": "vector_size",
        "-window": "window",
        "-sample": "sample",
        "-negative": "negative",
        "-hs": "hs",
        "-min-count": "min_count",
        "-threads": "workers",
        "-iter": "epochs",
        "-alpha": "alpha",
    }.items():
        assert float(c[flag]) == float(ours[name])
    assert int(c["-cbow"]) == 1 - ours["sg"]
    assert ours["alpha"] == 0.05
    assert ours["min_alpha"] == 5e-6
    assert [MODES[name].negative for name in MODES if MODES[name].hs] == [0, 0]


def test_result_survives_its_file(good: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "folder" / "run.json"
    runner.save(good, path)
    loaded = runner.load(path)
    assert [row["over_gensim"] for row in loaded["rows"]] == [5.0] * 4
    assert report.summary(loaded).startswith("Million words a second")
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="not a result"):
        runner.load(path)


def test_runs_are_merged(good: dict[str, Any], text: corpus.Corpus) -> None:
    other = run(text, Fake(OURS, 2e6), dims=(300,), modes=("sg-hs",))
    other |= {"quality": [1], "evaluators": {"analogies": [0.1, 0.1]}}
    merged = runner.merge([good, other])
    assert [row["dim"] for row in merged["rows"]] == [100] * 4 + [300]
    assert merged["quality"] == [1]
    assert merged["evaluators"] == other["evaluators"]
    assert merged["vocabulary"] == good["vocabulary"]
    assert len(good["rows"]) == 4  # as it was
    with pytest.raises(ValueError, match="differ in corpus"):
        runner.merge([good, {**other, "corpus": {}}])
    with pytest.raises(ValueError, match="differ in sources"):
        runner.merge([good, {**other, "sources": ["other"]}])


@pytest.fixture
def larger(tmp_path: Path) -> corpus.Corpus:
    words = [f"word{number}" for number in range(50)]
    rng = random.Random(1)
    path = tmp_path / "larger.txt"
    path.write_text("\n".join(" ".join(rng.choices(words, k=12)) for _ in range(400)))
    return corpus.measure(path, min_count=5)


@pytest.mark.parametrize("who", ["ours", "deterministic", "gensim"])
def test_libraries_train(who: str, larger: corpus.Corpus, tmp_path: Path) -> None:
    if who == "gensim":
        pytest.importorskip("gensim")
    contestant = getattr(contestants, who)()
    vectors = tmp_path / "vectors.bin"
    sample = contestant.train(Training("sg-hs", dim=8, epochs=2), larger, vectors)
    assert vectors.read_bytes().startswith(b"50 8\n")
    assert 0 < sample["seconds"] < 60
    assert 0 < sample["vocabulary_seconds"] < 60
    # gensim's threads do not stop where the next one's part of a file as small as this begins.
    most = 2.0 if who == "gensim" else 1.0
    assert 1 <= sample["words"] / (2 * larger.in_vocabulary) <= most
    assert sample["words_per_second"] == pytest.approx(sample["words"] / sample["seconds"])
    assert sample["memory"] is None or 0 < sample["memory"] < 1 << 30


def test_a_vocabulary_of_another_size_is_no_contestant(larger: corpus.Corpus) -> None:
    with pytest.raises(RuntimeError, match="the text has 51"):
        wrong = dataclasses.replace(larger, vocabulary=51)
        contestants.ours().train(Training("sg-hs", dim=8), wrong, None)


def test_likelihood_of_every_variant(larger: corpus.Corpus, tmp_path: Path) -> None:
    first, last = corpus.split(larger.path, tmp_path)
    found = likelihood.measure(Training("cbow-hs", dim=8, alpha=0.05), first, last)
    assert set(found) == set(likelihood.VARIANTS)
    # Eight lines of twelve words; the words are drawn evenly, so none is likelier than 1 in 50.
    predictions = 8 * 12
    for value in found.values():
        assert -value / predictions == pytest.approx(math.log(50), rel=0.1)


def test_the_evaluator_is_gensim_s(tmp_path: Path) -> None:
    pytest.importorskip("gensim")
    rng = np.random.default_rng(0)
    words = [f"w{number}" for number in range(40)]
    known = KeyedVectors(5)
    known.add_vectors(words, rng.normal(size=(40, 5)).astype(np.float32))
    path = tmp_path / "vectors.bin"
    known.save_word2vec_format(path, binary=True)
    questions, pairs = tmp_path / "questions.txt", tmp_path / "pairs.tsv"
    asked = [rng.choice(words, 4, replace=False) for _ in range(30)]
    for a, b, c, _ in list(asked):  # and some that are answered right
        asked.append((a, b, c, known.most_similar([b, c], [a], topn=1)[0][0]))
    questions.write_text(": all\n" + "\n".join(" ".join(each) for each in asked) + "\n")
    lines = [f"{a}\t{b}\t{rng.normal()}" for a, b, *_ in asked]
    pairs.write_text("\n".join(lines) + "\n")
    files = quality.Files(questions, pairs, pairs)
    found = quality.check_evaluators(
        path, quality.evaluator(files), quality.gensim_evaluator(files)
    )
    assert found[quality.ANALOGIES][0] >= 0.5
    assert set(found) == {quality.ANALOGIES, quality.WORDSIM, quality.SIMLEX}


def test_tables_name_everybody(good: dict[str, Any]) -> None:
    table = report.speed_table(good["rows"])
    for text in (*(mode.title for mode in MODES.values()), OURS, GENSIM, BEST):
        assert text in table
    assert report.full_report(good).count("✗") == 1  # which explains what it would mean
    assert good["machine"]["cpu"] in report.full_report(good)


def test_scaling_is_told(text: corpus.Corpus) -> None:
    result = run(text, Fake(OURS, 1e6), threads=(1, 2), modes=("sg-hs",))
    assert "Two threads over one, fastrnn: 1.00 (sg-hs, d = 100)." in report.full_report(result)


def test_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n", encoding="utf-8")
    report.write_between_markers(page, "new")
    assert page.read_text(encoding="utf-8") == f"above\n{report.BEGIN}\nnew\n{report.END}\nbelow\n"
    page.write_text("no markers", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the markers"):
        report.write_between_markers(page, "text")


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_picture(good: dict[str, Any], tmp_path: Path, ending: str, start: bytes) -> None:
    path = tmp_path / f"run.{ending}"
    chart.draw(good, path)
    assert path.read_bytes().startswith(start)


def test_every_floor_is_one_of_the_table() -> None:
    assert set(FLOORS) == {"vocabulary", "deterministic", "memory", "likelihood", "quality"}
    assert all(mode.over_gensim > 1 and mode.over_c > 1 for mode in MODES.values())


app_runner = CliRunner()


def invoke(*arguments: str) -> Any:
    import typer

    app = typer.Typer()
    app.command()(command.main)
    return app_runner.invoke(app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--modes", "sg-hs,swg"), "unknown mode 'swg'"),
        (("--quality",), "--quality needs"),
        (("--word2vec-c", "fast"), "takes LABEL=PATH"),
        (("--word2vec-c", "fast=/nowhere/tool"), "not an executable file"),
    ],
)
def test_bad_options(text: corpus.Corpus, arguments: tuple[str, ...], message: str) -> None:
    result = invoke("--corpus", str(text.path), *arguments)
    assert result.exit_code == 2
    assert message in result.output
