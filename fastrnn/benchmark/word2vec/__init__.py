"""Benchmark of word2vec training: ours, gensim's and word2vec.c's, interleaved in one run.

``settings`` says what is measured and how good it must be; ``corpus`` unpacks and counts the text;
``contestants`` train, each training in a fresh process (``worker`` is what runs there, and
``c_tool`` watches the original program); ``runner`` times them; ``quality`` compares what their
vectors are worth, ``likelihood`` our modes with each other; ``verdict`` finds what misses its
floor; ``report`` and ``chart`` make tables and a picture of the JSON; ``command`` is the command
line.
"""

from __future__ import annotations
