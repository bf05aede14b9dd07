#include "bindings/register.h"

namespace py = pybind11;

namespace fastrnn {

void register_word2vec_trainer(py::module_& m) { (void)m; }

}  // namespace fastrnn
