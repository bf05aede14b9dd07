#pragma once
// The value type of code without SIMD: one number, with the operations of a register (cpu/vec.h) that cells and
// activations use. Serves a plain loop and a CUDA thread.

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/host_device.h"

namespace fastrnn {

template <class T>
struct ScalarValue {
  using Scalar = T;
  T v;

  ScalarValue() = default;
  FASTRNN_HD explicit ScalarValue(T value) : v(value) {}
};

template <class T>
FASTRNN_HD ScalarValue<T> operator+(ScalarValue<T> a, ScalarValue<T> b) {
  return ScalarValue<T>(a.v + b.v);
}
template <class T>
FASTRNN_HD ScalarValue<T> operator-(ScalarValue<T> a, ScalarValue<T> b) {
  return ScalarValue<T>(a.v - b.v);
}
template <class T>
FASTRNN_HD ScalarValue<T> operator*(ScalarValue<T> a, ScalarValue<T> b) {
  return ScalarValue<T>(a.v * b.v);
}
template <class T>
FASTRNN_HD ScalarValue<T> operator/(ScalarValue<T> a, ScalarValue<T> b) {
  return ScalarValue<T>(a.v / b.v);
}
template <class T>
FASTRNN_HD ScalarValue<T> operator-(ScalarValue<T> a) {
  return ScalarValue<T>(-a.v);
}

/// a * b + c, rounded once.
FASTRNN_HD ScalarValue<float> fma(ScalarValue<float> a, ScalarValue<float> b, ScalarValue<float> c) {
  return ScalarValue<float>(::fmaf(a.v, b.v, c.v));
}
FASTRNN_HD ScalarValue<double> fma(ScalarValue<double> a, ScalarValue<double> b, ScalarValue<double> c) {
  return ScalarValue<double>(::fma(a.v, b.v, c.v));
}

/// The larger (smaller) of bound and x; NaN in x stays NaN.
template <class T>
FASTRNN_HD ScalarValue<T> at_least(ScalarValue<T> bound, ScalarValue<T> x) {
  return bound.v > x.v ? bound : x;
}
template <class T>
FASTRNN_HD ScalarValue<T> at_most(ScalarValue<T> bound, ScalarValue<T> x) {
  return bound.v < x.v ? bound : x;
}

/// a <= b ? x : y; NaN in a or b chooses y.
template <class T>
FASTRNN_HD ScalarValue<T> where_at_most(ScalarValue<T> a, ScalarValue<T> b, ScalarValue<T> x, ScalarValue<T> y) {
  return a.v <= b.v ? x : y;
}

/// |x|, and the number of magnitude |x| with the sign of y.
FASTRNN_HD ScalarValue<float> magnitude(ScalarValue<float> x) { return ScalarValue<float>(::fabsf(x.v)); }
FASTRNN_HD ScalarValue<double> magnitude(ScalarValue<double> x) { return ScalarValue<double>(::fabs(x.v)); }
FASTRNN_HD ScalarValue<float> with_sign(ScalarValue<float> x, ScalarValue<float> y) {
  return ScalarValue<float>(::copysignf(x.v, y.v));
}
FASTRNN_HD ScalarValue<double> with_sign(ScalarValue<double> x, ScalarValue<double> y) {
  return ScalarValue<double>(::copysign(x.v, y.v));
}

/// 2^n, given t = n + 1.5 * 2^(mantissa bits): the integer n lies in t's low bits.
FASTRNN_HD ScalarValue<float> pow2_from_shifted(ScalarValue<float> t) {
  uint32_t bits;
  memcpy(&bits, &t.v, sizeof bits);
  bits = (bits << 23) + (uint32_t(127) << 23);
  memcpy(&t.v, &bits, sizeof bits);
  return t;
}
FASTRNN_HD ScalarValue<double> pow2_from_shifted(ScalarValue<double> t) {
  uint64_t bits;
  memcpy(&bits, &t.v, sizeof bits);
  bits = (bits << 52) + (uint64_t(1023) << 52);
  memcpy(&t.v, &bits, sizeof bits);
  return t;
}

}  // namespace fastrnn
