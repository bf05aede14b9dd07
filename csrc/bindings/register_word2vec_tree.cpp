#include <pybind11/numpy.h>

#include <memory>
#include <vector>

#include "bindings/register.h"
#include "word2vec/alias_table.h"
#include "word2vec/huffman.h"

namespace py = pybind11;

namespace fastrnn {
namespace {

template <class T>
using Vector = py::array_t<T, py::array::c_style>;

template <class T>
const T* data_of(const Vector<T>& array, const char* what) {
  if (array.ndim() != 1) throw py::value_error(what);
  return array.data();
}

/// The vector's own memory as an array, without a copy.
template <class T>
Vector<T> to_array(std::vector<T>&& values) {
  auto owner = std::make_unique<std::vector<T>>(std::move(values));
  const std::vector<T>& kept = *owner;
  const py::capsule capsule(owner.get(), [](void* p) { delete static_cast<std::vector<T>*>(p); });
  owner.release();
  return Vector<T>(py::ssize_t(kept.size()), kept.data(), capsule);
}

py::tuple tree_of(const Vector<int64_t>& counts, bool first_stays) {
  const int64_t* data = data_of(counts, "counts must have one dimension");
  HuffmanTree tree;
  {
    const py::gil_scoped_release release;
    tree = huffman_tree(data, counts.size(), first_stays);
  }
  return py::make_tuple(to_array(std::move(tree.path_offsets)), to_array(std::move(tree.path_rows)),
                        to_array(std::move(tree.codes)));
}

py::tuple table_of(const Vector<double>& weights) {
  const double* data = data_of(weights, "weights must have one dimension");
  AliasTable table;
  {
    const py::gil_scoped_release release;
    table = alias_table(data, weights.size());
  }
  return py::make_tuple(to_array(std::move(table.thresholds)), to_array(std::move(table.index)));
}

}  // namespace

void register_word2vec_tree(py::module_& m) {
  m.def("huffman_tree", &tree_of, py::arg("counts").noconvert(), py::arg("first_stays"));
  m.def("alias_table", &table_of, py::arg("weights").noconvert());
}

}  // namespace fastrnn
