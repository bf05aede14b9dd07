#pragma once
// What arrays hold, and what it is computed in: the halves are types of storage, and everything is float32 from where
// they are loaded to where they are stored. Sums, and the states on their way from step to step, are never stored in
// them; but what enters a recurrent product is, so that products may be made of 16-bit numbers.

#include "cuda/ops.h"
#include "math/scalar.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

template <class T>
struct Storage {
  using Compute = T;
  FASTRNN_DEVICE static T load(T stored) { return stored; }
  FASTRNN_DEVICE static T store(T value) { return value; }
};

template <class T>
struct HalfStorage {
  using Compute = float;
  FASTRNN_DEVICE static float load(T stored) { return widen(stored); }
  FASTRNN_DEVICE static T store(float value) {
    T stored;
    narrow(value, &stored);
    return stored;
  }
};
template <>
struct Storage<cuda::Float16> : HalfStorage<cuda::Float16> {};
template <>
struct Storage<cuda::Bfloat16> : HalfStorage<cuda::Bfloat16> {};

template <class T>
using Compute = typename Storage<T>::Compute;
template <class T>
using Value = ScalarValue<Compute<T>>;

/// Whether the states that steps hand on lie in arrays of their own, because y would round them.
template <class T>
constexpr bool kRounds = sizeof(T) < sizeof(Compute<T>);

template <class T>
FASTRNN_DEVICE Value<T> load_number(const T* p) {
  return Value<T>(Storage<T>::load(*p));
}
template <class T>
FASTRNN_DEVICE void store_number(T* p, Value<T> value) {
  *p = Storage<T>::store(value.v);
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
