"""The options of ``bench/word2vec.py``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from fastrnn.benchmark.word2vec import contestants as known
from fastrnn.benchmark.word2vec import corpus as corpora
from fastrnn.benchmark.word2vec import likelihood, quality, runner, verdict
from fastrnn.benchmark.word2vec.c_tool import CTool
from fastrnn.benchmark.word2vec.contestants import Contestant
from fastrnn.benchmark.word2vec.settings import MODES, Settings

CorpusFile = Annotated[
    Path, typer.Option(exists=True, dir_okay=False, help="Text, one sentence a line; or .gz.")
]
TestSet = Annotated[Path | None, typer.Option(exists=True, dir_okay=False)]


def main(
    corpus: CorpusFile,
    modes: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(MODES),
    dim: Annotated[list[int] | None, typer.Option(min=1, help="Repeatable; none: 100.")] = None,
    window: Annotated[int, typer.Option(min=1)] = 5,
    sample: Annotated[float, typer.Option(min=0)] = 1e-3,
    min_count: Annotated[int, typer.Option(min=1)] = 5,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    epochs: Annotated[int, typer.Option(min=1)] = 1,
    rounds: Annotated[int, typer.Option(min=0, help="0: no timing.")] = 3,
    alpha_sg: Annotated[float | None, typer.Option(help="For skip-gram; none: 0.025.")] = None,
    alpha_cbow: Annotated[float | None, typer.Option(help="For CBOW; none: 0.05.")] = None,
    word2vec_c: Annotated[
        list[str] | None, typer.Option(help="A binary of word2vec.c as LABEL=PATH; repeatable.")
    ] = None,
    gensim: Annotated[bool, typer.Option(help="gensim takes part.")] = True,
    deterministic: Annotated[bool, typer.Option(help="Our deterministic mode takes part.")] = False,
    scaling: Annotated[bool, typer.Option(help="1 and 2 threads.")] = False,
    compare_quality: Annotated[
        bool, typer.Option("--quality", help="Analogies and word pairs of everybody's vectors.")
    ] = False,
    compare_likelihood: Annotated[
        bool, typer.Option("--likelihood/--no-likelihood", help="Held-out, with --quality.")
    ] = True,
    seeds: Annotated[int, typer.Option(min=2)] = 3,
    questions: TestSet = None,
    wordsim: TestSet = None,
    simlex: TestSet = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where the result goes.")] = None,
    strict: Annotated[bool, typer.Option(help="Exit 1 if a floor is missed.")] = False,
) -> None:
    """Measure training of word vectors: speed, and with --quality what the vectors are worth."""
    chosen = tuple(modes.split(","))
    for name in chosen:
        if name not in MODES:
            raise typer.BadParameter(f"unknown mode {name!r}; there are {', '.join(MODES)}")
    files = quality.Files(questions, wordsim, simlex)
    if compare_quality and files == quality.Files():
        raise typer.BadParameter("--quality needs --questions, --wordsim or --simlex")
    settings = Settings(
        modes=chosen,
        dims=tuple(dim or (100,)),
        threads=(1, 2) if scaling else (threads,),
        window=window,
        sample=sample,
        min_count=min_count,
        epochs=epochs,
        rounds=rounds,
        alpha_sg=alpha_sg,
        alpha_cbow=alpha_cbow,
    )
    who = [known.ours()]
    if deterministic:
        who.append(known.deterministic())
    if gensim:
        who.append(known.gensim())
    tools = [c_tool(text) for text in word2vec_c or ()]
    with tempfile.TemporaryDirectory(prefix="fastrnn-bench-") as name:
        folder = Path(name)
        text = corpora.measure(corpora.unpack(corpus, folder), min_count)
        result = runner.start(settings, text)

        def keep() -> None:
            if json_file:
                runner.save(result, json_file)

        if rounds:
            runner.run_speed(result, settings, [*who, *tools], text, typer.echo, keep)
        if compare_quality:
            if not deterministic:
                who.insert(1, known.deterministic())
            _quality(result, settings, [*who, *tools], text, folder, files, seeds, gensim)
            keep()
            if compare_likelihood:
                _likelihood(result, settings, text, folder)
        keep()
    found = verdict.problems(result)
    for line in found:
        typer.echo(f"missed: {line}")
    if not found:
        typer.echo("Every floor that was measured is met.")
    if strict and found:
        raise typer.Exit(1)


def c_tool(text: str) -> CTool:
    """From LABEL=PATH."""
    label, found, path = text.partition("=")
    if not (label and found):
        raise typer.BadParameter(f"--word2vec-c takes LABEL=PATH, not {text!r}")
    try:
        return CTool(label, Path(path))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _quality(
    result: dict[str, Any],
    settings: Settings,
    who: list[Contestant],
    text: corpora.Corpus,
    folder: Path,
    files: quality.Files,
    seeds: int,
    gensim: bool,
) -> None:
    result["quality"], result["evaluators"] = quality.measure(
        settings,
        who,
        text,
        folder,
        quality.evaluator(files),
        range(1, seeds + 1),
        quality.gensim_evaluator(files) if gensim else None,
        typer.echo,
    )


def _likelihood(
    result: dict[str, Any], settings: Settings, text: corpora.Corpus, folder: Path
) -> None:
    first, last = corpora.split(text.path, folder)
    for mode in settings.modes:
        if not MODES[mode].hs:
            continue
        training = settings.training(mode, settings.dims[0], max(settings.threads))
        found = likelihood.measure(training, first, last)
        result["likelihood"].append({**training.as_dict(), "log_likelihood": found})
        for name, worse in likelihood.relative(found).items():
            typer.echo(f"{mode} held-out log-likelihood {name}: {worse:+.3%} below strict")


def run() -> None:
    typer.run(main)
