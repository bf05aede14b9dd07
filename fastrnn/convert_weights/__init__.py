"""Read and write other frameworks' recurrent weights.

Everything goes through `Layer`, torch's layout as NumPy arrays: each ``from_...`` makes one and
each ``to_...`` takes one.  A layer's ``arguments()`` go to the functions of `fastrnn.ops`;
`to_module` makes a layer of `fastrnn.nn` of a list of them.

===================================  ========================================================
`from_keras`, `to_keras`             SimpleRNN, LSTM, both GRUs; Bidirectional
`from_onnx`, `to_onnx`               W, R, B, P of the operators LSTM, GRU, RNN
`from_onnx_model`,                   whole models, and single nodes (these need onnx)
`from_onnx_node`, `to_onnx_model`
`from_tensorflow`, `to_tensorflow`   variables of TensorFlow 1's cells, forget bias included
`from_cudnn`, `to_cudnn`             cuDNN's canonical matrices and biases
`from_onednn`, `to_onednn`           oneDNN's ldigo and ldgoi, with a bias more for lbr_gru
`from_haste`, `to_haste`             haste's LSTM and GRU, with layer normalization and without
`from_sentiment_neuron`              the multiplicative LSTM of Radford et al. 2017
`from_state_dict`, `to_state_dict`   torch's names, as NumPy arrays
`from_module`, `load_module`,        modules of ``torch.nn`` and `fastrnn.nn` (these need torch)
`to_module`
===================================  ========================================================

Arrays are copied, never rounded, but where two biases are added up or weights are normalized.  Bad
input raises ValueError, which names the array, what was expected and what came.

>>> import numpy as np
>>> from fastrnn import ops
>>> rng = np.random.default_rng(0)
>>> kernel, recurrent, bias = rng.normal(size=(3, 20)), rng.normal(size=(5, 20)), np.ones(20)
>>> layer = from_keras("lstm", [kernel, recurrent, bias])  # as keras_layer.get_weights() gives
>>> y, h_n, c_n = ops.lstm(rng.normal(size=(7, 2, 3)), **layer.arguments())
>>> to_onnx(layer).W.shape
(1, 20, 3)
"""

from __future__ import annotations

from fastrnn.convert_weights._haste import from_haste, to_haste
from fastrnn.convert_weights._keras import from_keras, to_keras
from fastrnn.convert_weights._layer import Direction, Layer
from fastrnn.convert_weights._onednn import OneDnnWeights, from_onednn, to_onednn
from fastrnn.convert_weights._onnx import OnnxWeights, from_onnx, to_onnx
from fastrnn.convert_weights._onnx_graph import from_onnx_model, from_onnx_node, to_onnx_model
from fastrnn.convert_weights._sentiment_neuron import from_sentiment_neuron
from fastrnn.convert_weights._tensorflow import (
    from_cudnn,
    from_tensorflow,
    to_cudnn,
    to_tensorflow,
)
from fastrnn.convert_weights._torch import (
    from_module,
    from_state_dict,
    load_module,
    to_module,
    to_state_dict,
)

__all__ = [
    "Direction",
    "Layer",
    "OneDnnWeights",
    "OnnxWeights",
    "from_cudnn",
    "from_haste",
    "from_keras",
    "from_module",
    "from_onednn",
    "from_onnx",
    "from_onnx_model",
    "from_onnx_node",
    "from_sentiment_neuron",
    "from_state_dict",
    "from_tensorflow",
    "load_module",
    "to_cudnn",
    "to_haste",
    "to_keras",
    "to_module",
    "to_onednn",
    "to_onnx",
    "to_onnx_model",
    "to_state_dict",
    "to_tensorflow",
]
