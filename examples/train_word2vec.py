"""Word vectors by hierarchical softmax, and what they can be asked; NumPy only.

Run: ``python examples/train_word2vec.py [TEXT_FILE]``; without a file it learns a toy language.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from fastrnn import KeyedVectors, Word2Vec

# A toy language: animals do what animals do, machines what machines do.
SUBJECTS = {
    "animal": ["cat", "dog", "horse", "cow", "goat"],
    "machine": ["engine", "pump", "motor", "fan", "drill"],
}
VERBS = {
    "animal": ["eats", "sleeps", "plays", "runs", "drinks"],
    "machine": ["hums", "rattles", "breaks", "stops", "overheats"],
}
PLACES = {
    "animal": ["barn", "field", "garden", "stable", "yard"],
    "machine": ["factory", "workshop", "garage", "plant", "cellar"],
}


def toy_text(sentences: int, seed: int = 0) -> str:
    """Sentences such as "the old cat sleeps in the barn", one a line."""
    rng = random.Random(seed)
    lines = []
    for _ in range(sentences):
        kind = rng.choice(["animal", "machine"])
        subject, verb, place = (rng.choice(words[kind]) for words in (SUBJECTS, VERBS, PLACES))
        lines.append(f"the {rng.choice(['old', 'new', 'big'])} {subject} {verb} in the {place}")
    return "\n".join(lines) + "\n"


def main(source: Path | None = None, epochs: int = 10) -> Word2Vec:
    """Train, save, load and ask; returns the model."""
    with tempfile.TemporaryDirectory() as folder:
        if source is None:
            source = Path(folder) / "toy.txt"
            source.write_text(toy_text(4000), encoding="utf-8")
        model = Word2Vec(
            corpus_file=source,
            vector_size=32,
            sg=1,
            hs=1,
            negative=0,  # gensim's default of 5 would train both
            alpha=0.05,
            epochs=epochs,
            compute_loss=True,
            deterministic=True,  # the same vectors on every machine's number of threads
            threads=2,
        )
        losses = [report.loss / report.pairs for report in model.epoch_reports]
        print(f"{len(model.wv)} words; loss a prediction {losses[0]:.3f} -> {losses[-1]:.3f} nats")

        path = Path(folder) / "vectors.bin"
        model.wv.save_word2vec_format(path, binary=True)  # word2vec.c and gensim read it
        vectors = KeyedVectors.load_word2vec_format(path, binary=True)

    word = "cat" if "cat" in vectors else vectors.index_to_key[0]
    print(f"near {word}:", ", ".join(w for w, _ in vectors.most_similar(word, topn=4)))
    # The tree gives probabilities, exactly, and finds the likeliest words without trying all.
    likely = model.predict_output_word([word], topn=3) or []
    print(f"beside {word}:", ", ".join(f"{w} {p:.3f}" for w, p in likely))
    return model


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
