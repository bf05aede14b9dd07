"""The demo: one character language model, trained with torch's layer and with fastrnn's.

``text`` is the data, ``model`` the network, ``training`` trains both side by side, ``verdict``
decides whether their loss curves coincide, ``plot`` draws them.

And word vectors, without torch: ``word2vec_text`` reads the standard library's prose, ``word2vec``
trains on it.  ``fastrnn demo`` shows it all.
"""

from __future__ import annotations
