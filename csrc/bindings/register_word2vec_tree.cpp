#include "bindings/register.h"

namespace py = pybind11;

namespace fastrnn {

void register_word2vec_tree(py::module_& m) { (void)m; }

}  // namespace fastrnn
