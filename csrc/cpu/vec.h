#pragma once
// The SIMD register type that cells and kernels are written on.
//
// Arithmetic comes from the compiler's vector extensions; what those lack (fused multiply-add, partial
// loads, NaN-keeping min/max) comes from the header of the instruction set, FASTRNN_ISA_HEADER.
// This file is compiled once per instruction set, so nothing in it may have linkage that another
// translation unit could pick up: all names live in namespace fastrnn::FASTRNN_ISA.

#include <stddef.h>
#include <stdint.h>

#include "core/host_device.h"

#define FASTRNN_INLINE inline __attribute__((always_inline))

namespace fastrnn {
namespace FASTRNN_ISA {

template <class T>
struct IntOf;
template <>
struct IntOf<float> {
  using type = int32_t;
};
template <>
struct IntOf<double> {
  using type = int64_t;
};

}  // namespace FASTRNN_ISA
}  // namespace fastrnn

#include FASTRNN_ISA_HEADER

namespace fastrnn {
namespace FASTRNN_ISA {

template <class T>
struct Vec {
  using Scalar = T;
  using Native = typename NativeOf<T>::type;
  static constexpr int kLanes = kVectorBytes / int(sizeof(T));

  Native v;

  FASTRNN_INLINE Vec() = default;
  FASTRNN_INLINE explicit Vec(Native native) : v(native) {}
  FASTRNN_INLINE explicit Vec(T scalar) : v(scalar - Native{}) {}  // x - 0 is x for every x, NaN and -0 included

  FASTRNN_INLINE static Vec load(const T* p) {
    Native native;
    __builtin_memcpy(&native, p, sizeof native);  // an unaligned load
    return Vec(native);
  }
  FASTRNN_INLINE void store(T* p) const { __builtin_memcpy(p, &v, sizeof v); }

  /// First n lanes; the others are zero and their memory is not touched.
  FASTRNN_INLINE static Vec load_partial(const T* p, int n) {
    return n >= kLanes ? load(p) : Vec(native_load_partial(p, n));
  }
  FASTRNN_INLINE void store_partial(T* p, int n) const {
    if (n >= kLanes)
      store(p);
    else
      native_store_partial(p, v, n);
  }
};

template <class T>
FASTRNN_INLINE Vec<T> operator+(Vec<T> a, Vec<T> b) {
  return Vec<T>(a.v + b.v);
}
template <class T>
FASTRNN_INLINE Vec<T> operator-(Vec<T> a, Vec<T> b) {
  return Vec<T>(a.v - b.v);
}
template <class T>
FASTRNN_INLINE Vec<T> operator*(Vec<T> a, Vec<T> b) {
  return Vec<T>(a.v * b.v);
}
template <class T>
FASTRNN_INLINE Vec<T> operator/(Vec<T> a, Vec<T> b) {
  return Vec<T>(a.v / b.v);
}
template <class T>
FASTRNN_INLINE Vec<T> operator-(Vec<T> a) {
  return Vec<T>(-a.v);
}

/// a * b + c, rounded once where the machine can; written out (never left to the compiler's contraction),
/// so that every instantiation rounds alike and results do not depend on how rows fall into tiles.
template <class T>
FASTRNN_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
  return Vec<T>(native_fma(a.v, b.v, c.v));
}

/// The larger (smaller) of bound and x; NaN in x stays NaN.
template <class T>
FASTRNN_INLINE Vec<T> at_least(Vec<T> bound, Vec<T> x) {
  return Vec<T>(native_max(bound.v, x.v));
}
template <class T>
FASTRNN_INLINE Vec<T> at_most(Vec<T> bound, Vec<T> x) {
  return Vec<T>(native_min(bound.v, x.v));
}

/// a <= b ? x : y, lane by lane; NaN in a or b chooses y.
template <class T>
FASTRNN_INLINE Vec<T> where_at_most(Vec<T> a, Vec<T> b, Vec<T> x, Vec<T> y) {
  return Vec<T>(a.v <= b.v ? x.v : y.v);
}

/// |x|, and the number of magnitude |x| with the sign of y.
template <class T>
FASTRNN_INLINE Vec<T> magnitude(Vec<T> x) {
  using Int = typename NativeOf<typename IntOf<T>::type>::type;
  return Vec<T>((typename Vec<T>::Native)((Int)x.v & ~(Int)Vec<T>(T(-0.0)).v));
}
template <class T>
FASTRNN_INLINE Vec<T> with_sign(Vec<T> x, Vec<T> y) {
  using Int = typename NativeOf<typename IntOf<T>::type>::type;
  const Int sign = (Int)Vec<T>(T(-0.0)).v;
  return Vec<T>((typename Vec<T>::Native)(((Int)x.v & ~sign) | ((Int)y.v & sign)));
}

/// Zero from lane n on.
template <class T>
FASTRNN_INLINE Vec<T> keep_first(Vec<T> x, int n) {
  T lanes[Vec<T>::kLanes];
  x.store(lanes);
  return Vec<T>::load_partial(lanes, n);
}

/// 2^n, given t = n + 1.5 * 2^(mantissa bits): the integer n lies in t's low bits.
FASTRNN_INLINE Vec<float> pow2_from_shifted(Vec<float> t) {
  using Int = typename NativeOf<int32_t>::type;
  return Vec<float>((Vec<float>::Native)(((Int)t.v << 23) + (127 << 23)));
}
FASTRNN_INLINE Vec<double> pow2_from_shifted(Vec<double> t) {
  using Int = typename NativeOf<int64_t>::type;
  return Vec<double>((Vec<double>::Native)(((Int)t.v << 52) + (int64_t(1023) << 52)));
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
