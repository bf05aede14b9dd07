"""Files of word vectors: word2vec's text and binary formats, and fastrnn's own container."""

from __future__ import annotations
