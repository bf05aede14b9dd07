#pragma once
// Calls as Python passes them, read into the engine's own structures.

#include <stdexcept>
#include <vector>

#include <pybind11/stl.h>

#include "bindings/register.h"
#include "cells/traits.h"
#include "core/layer.h"
#include "core/number.h"

namespace fastrnn {

namespace py = pybind11;

// Tuples are read item by item: pybind11's own conversion through std::vector costs a microsecond a call.
inline int64_t integer(const py::tuple& t, size_t i) {
  const long long value = PyLong_AsLongLong(PyTuple_GET_ITEM(t.ptr(), py::ssize_t(i)));
  if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
  return value;
}

inline void* address(const py::tuple& t, size_t i) {
  void* value = PyLong_AsVoidPtr(PyTuple_GET_ITEM(t.ptr(), py::ssize_t(i)));
  if (!value && PyErr_Occurred()) throw py::error_already_set();
  return value;
}

inline void need(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(what);
}

inline void need_size(const py::tuple& t, size_t size, const char* what) { need(t.size() == size, what); }

/// Checks that cost nothing and keep a mistake in the Python layers from becoming a crash.
inline LayerShape read_shape(int cell, int number, const py::tuple& sizes) {
  need(cell >= 0 && cell < num_cells(), "cell: no such number");
  need(is_number(number), "number: no such code");
  need(sizes.size() >= 5 && sizes.size() <= 7,
       "sizes must hold seq_len, batch, input, hidden, directions[, rows[, zoneout]]");
  const LayerShape s{integer(sizes, 0),
                     integer(sizes, 1),
                     integer(sizes, 2),
                     integer(sizes, 3),
                     int(integer(sizes, 4)),
                     sizes.size() > 5 ? integer(sizes, 5) : 0,
                     sizes.size() > 6 && integer(sizes, 6) != 0};
  need(s.seq_len > 0 && s.batch >= 0 && s.input > 0 && s.hidden > 0 && s.rows >= 0, "sizes must be positive");
  need(s.directions == 1 || s.directions == 2, "directions must be 1 or 2");
  return s;
}

/// Padded with two strides, packed with one.
inline Sequence read_sequence(const py::tuple& t, const char* what) {
  if (t.size() == 2) return {address(t, 0), 0, integer(t, 1), true};
  need_size(t, 3, what);
  return {address(t, 0), integer(t, 1), integer(t, 2)};
}

inline void read_parameters(const py::tuple& t, int directions, Parameters* params) {
  need_size(t, size_t(directions), "weights must hold one tuple a direction");
  for (int d = 0; d < directions; ++d) {
    const py::tuple one = py::reinterpret_borrow<py::tuple>(PyTuple_GET_ITEM(t.ptr(), d));
    need(py::isinstance<py::tuple>(one), "weights must hold tuples");
    need_size(one, 5, "weights must hold weight_ih, weight_hh, bias_ih, bias_hh, unit_params");
    params[d] = {address(one, 0), address(one, 1), address(one, 2), address(one, 3), address(one, 4)};
  }
}

template <class Pointer>
void read_states(const py::tuple& t, int states, Pointer* pointers, const char* what) {
  need_size(t, size_t(states), what);
  for (int i = 0; i < states; ++i) pointers[i] = address(t, size_t(i));
}

/// What a call says about its rows, and the memory for it.
class Rows {
 public:
  explicit Rows(const LayerShape& s) { need(s.rows == 0, "sizes tell of rows, but there are no batch sizes"); }

  Rows(const LayerShape& s, const py::tuple& t) {
    need_size(t, 4, "rows must hold batch_sizes, order, resets and padded_steps");
    const int64_t* batch_sizes = static_cast<const int64_t*>(address(t, 0));
    map_.order = static_cast<const int64_t*>(address(t, 1));
    map_.resets = static_cast<const uint8_t*>(address(t, 2));
    map_.padded_steps = integer(t, 3);
    if (!batch_sizes) {
      need(s.rows == 0 && !map_.order, "rows of sizes, and an order, need batch sizes");
      return;
    }
    offsets_.resize(size_t(s.seq_len) + 1);
    int64_t before = s.batch;
    for (int64_t i = 0; i < s.seq_len; ++i) {
      need(batch_sizes[i] >= 1, "batch_sizes must be positive");
      need(batch_sizes[i] <= before, "batch_sizes must not increase, nor be larger than the batch");
      before = batch_sizes[i];
      offsets_[size_t(i) + 1] = offsets_[size_t(i)] + before;
    }
    need(offsets_.back() == s.rows, "batch_sizes must sum up to the rows of sizes");
    map_.offsets = offsets_.data();
    if (!map_.order) return;
    std::vector<bool> seen(size_t(s.batch), false);
    for (int64_t i = 0; i < s.batch; ++i) {
      const int64_t place = map_.order[i];
      need(place >= 0 && place < s.batch && !seen[size_t(place)], "order must be a permutation");
      seen[size_t(place)] = true;
    }
  }

  /// The map, if the sequences go with it.
  const RowMap& map(const LayerShape& s, std::initializer_list<Sequence> sequences) const {
    for (const Sequence& sequence : sequences) {
      if (!sequence.data) continue;
      need(!sequence.packed || map_.offsets, "packed sequences need batch sizes");
      need(sequence.packed || !map_.offsets || map_.padded_steps >= s.seq_len, "padded_steps must cover all steps");
    }
    return map_;
  }

 private:
  std::vector<int64_t> offsets_;
  RowMap map_{};
};

inline ForwardArgs read_forward(int cell, int number, const py::tuple& sizes, const py::tuple& x,
                                const py::tuple& weights, const py::tuple& initial, const py::tuple& y,
                                const py::tuple& final_states, uintptr_t reserve) {
  ForwardArgs args{};
  args.shape = read_shape(cell, number, sizes);
  const int states = cell_traits(cell).states;
  args.x = read_sequence(x, "x must hold an address and two strides");
  args.y = read_sequence(y, "y must hold an address and two strides");
  read_parameters(weights, args.shape.directions, args.params);
  read_states(initial, states, args.initial, "initial must hold one address a state");
  read_states(final_states, states, args.final_states, "final must hold one address a state");
  args.reserve = reinterpret_cast<void*>(reserve);
  return args;
}

inline BackwardArgs read_backward(int cell, int number, const py::tuple& sizes, const py::tuple& x,
                                  const py::tuple& weights, const py::tuple& initial, const py::tuple& y,
                                  uintptr_t reserve, const py::tuple& grad_y, const py::tuple& grad_final,
                                  const py::tuple& grad_x, const py::tuple& grad_weights,
                                  const py::tuple& grad_initial) {
  BackwardArgs args{};
  args.shape = read_shape(cell, number, sizes);
  const int states = cell_traits(cell).states;
  args.x = read_sequence(x, "x must hold an address and two strides");
  args.y = read_sequence(y, "y must hold an address and two strides");
  read_parameters(weights, args.shape.directions, args.params);
  read_states(initial, states, args.initial, "initial must hold one address a state");
  args.reserve = reinterpret_cast<const void*>(reserve);
  args.d_y = read_sequence(grad_y, "grad_y must hold an address and two strides");
  read_states(grad_final, states, args.d_final, "grad_final must hold one address a state");
  args.d_x = read_sequence(grad_x, "grad_x must hold an address and two strides");
  read_parameters(grad_weights, args.shape.directions, args.d_params);
  read_states(grad_initial, states, args.d_initial, "grad_initial must hold one address a state");
  return args;
}

/// A tuple of tuples, one a state, each an address and strides.
inline void read_sequences(int cell, const py::object& given, Sequence* sequences, const char* what) {
  need(py::isinstance<py::tuple>(given), what);
  const py::tuple t = py::reinterpret_borrow<py::tuple>(given);
  const int states = cell_traits(cell).states;
  need_size(t, size_t(states), what);
  for (int i = 0; i < states; ++i) {
    const py::tuple one = py::reinterpret_borrow<py::tuple>(PyTuple_GET_ITEM(t.ptr(), i));
    need(py::isinstance<py::tuple>(one), what);
    sequences[i] = read_sequence(one, what);
  }
}

inline void read_state_gradients(int cell, const py::object& given, BackwardArgs& args) {
  if (given.is_none()) return;
  read_sequences(cell, given, args.d_states, "grad_states must hold an address and two strides a state");
}

/// The address of the scale of h, then masks and rates of zoneout.
inline Regularizers read_regularizers(int cell, const py::object& given) {
  Regularizers read{};
  if (!given.is_none()) {
    const char* const what = "regularizers must hold an address, zoneout's masks and its rates, one a state";
    need(py::isinstance<py::tuple>(given), what);
    const py::tuple t = py::reinterpret_borrow<py::tuple>(given);
    need_size(t, 3, what);
    read.hidden_scale = address(t, 0);
    read_sequences(cell, t[1], read.zoneout, what);
    const auto rates = t[2].cast<std::vector<double>>();
    need(rates.size() == size_t(cell_traits(cell).states), what);
    for (size_t i = 0; i < rates.size(); ++i) {
      need(rates[i] >= 0 && rates[i] <= 1, "a rate of zoneout must be between 0 and 1");
      read.zoneout_rate[i] = rates[i];
    }
  }
  return read;
}

inline Regularizers read_regularizers(int cell, const LayerShape& shape, bool saving, const py::object& given) {
  const Regularizers read = read_regularizers(cell, given);
  need(!saving || shape.zoneout == read.any_zoneout(), "sizes must tell of zoneout, which the reserve has room for");
  return read;
}

}  // namespace fastrnn
