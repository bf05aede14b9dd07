#include "bindings/register.h"

PYBIND11_MODULE(_core, m) {
  m.doc() = "fastrnn's compiled part; see _core.pyi. Use fastrnn.ops, fastrnn.functional or fastrnn.nn instead.";
  fastrnn::register_build(m);
  fastrnn::register_cuda(m);
  fastrnn::register_isa(m);
  fastrnn::register_memory(m);
  fastrnn::register_rnn(m);
  fastrnn::register_testing(m);
  fastrnn::register_word2vec(m);
}
