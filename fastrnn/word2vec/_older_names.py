"""Names that gensim's Word2Vec had once, or has and does not need here."""

from __future__ import annotations

_REMOVED = {
    "init_sims": "it is no longer needed: most_similar normalizes vectors by itself, and "
    "wv.get_vector(word, norm=True) gives a single normalized one",
    "iter": "it is called epochs",
    "size": "it is called vector_size",
    "vocabulary": "its settings (min_count, max_vocab_size, ...) are the model's own",
    "scan_vocab": "build_vocab does all of it",
    "prepare_vocab": "build_vocab does all of it",
    "prepare_weights": "build_vocab does it; init_weights starts over",
    "create_binary_tree": "build_vocab does it; the tree is model.tree",
    "cum_table": "negative examples are drawn from an alias table made for each training",
    "trainables": "its arrays (syn1, syn1neg) are the model's own",
}
_OF_VECTORS = {
    "most_similar", "similarity", "doesnt_match", "similar_by_word", "similar_by_vector",
    "n_similarity", "wmdistance", "accuracy", "evaluate_word_pairs", "most_similar_cosmul",
    "evaluate_word_analogies", "index2word", "vocab", "syn0", "syn0norm", "distance",
    "distances", "key_to_index", "index_to_key", "vectors", "most_similar_to_given", "rank",
    "closer_than", "save_word2vec_format", "load_word2vec_format",
    "intersect_word2vec_format",
}  # fmt: skip


def where_it_went(name: str) -> str:
    """What to add to the message that a model has no attribute ``name``."""
    if name in _OF_VECTORS:
        return f"; look at model.wv.{name}, or at gensim 4's name for it there"
    return f"; {_REMOVED[name]}" if name in _REMOVED else ""
