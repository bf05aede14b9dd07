#pragma once
#include <pybind11/pybind11.h>

namespace fastrnn {

void register_build(pybind11::module_& m);
void register_cuda(pybind11::module_& m);
void register_emulation(pybind11::module_& testing);
void register_isa(pybind11::module_& m);
void register_memory(pybind11::module_& m);
void register_rnn(pybind11::module_& m);
void register_testing(pybind11::module_& m);
void register_word2vec(pybind11::module_& m);

// Into the submodule that register_word2vec makes.
void register_word2vec_text(pybind11::module_& m);
void register_word2vec_trainer(pybind11::module_& m);
void register_word2vec_tree(pybind11::module_& m);

}  // namespace fastrnn
