#include "bindings/register.h"

namespace fastrnn {

void register_word2vec(pybind11::module_& m) {
  pybind11::module_ word2vec = m.def_submodule("word2vec", "The word2vec trainer; see _core.pyi.");
  register_word2vec_text(word2vec);
  register_word2vec_tree(word2vec);
  register_word2vec_trainer(word2vec);
}

}  // namespace fastrnn
