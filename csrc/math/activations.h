#pragma once
// exp, sigmoid and tanh on any value type V that offers the few operations used below: a SIMD register on the
// CPU (cpu/vec.h), float or double elsewhere (math/scalar.h).
//
// Largest error, over all finite arguments (tests/math measures it):
//   sigmoid  2.5 ulp (float), 2.5 ulp (double); results below the smallest normal number become 0
//   tanh     2.5 ulp (float), 2.5 ulp (double); also for tiny arguments, and at most 1.3 ulp beyond 0.55
// NaN gives NaN, infinities give exactly 0, 1 and -1 (where denormals are flushed, as in the kernels). Without fused
// multiply-add add 1 ulp. Constants: derive_coefficients.py.

#include "core/host_device.h"

namespace fastrnn {

template <class T>
struct ExpConstants;

template <>
struct ExpConstants<float> {
  static constexpr float kLog2E = 1.44269504f, kLn2High = 0.69317626953125f, kLn2Low = -2.90889713e-5f;
  static constexpr float kShifter = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer in the low bits
  static constexpr float kLowest = -60.0f, kHighest = 88.37f;  // 2^n and its products stay normal; 1 + exp(-60) is 1
  static constexpr float kTanhLimit = 10.0f;                   // tanh has become 1
  static constexpr int kDegree = 4;
  static constexpr float kQ[kDegree + 1] = {1.39261761e-3f, 8.36317307e-3f, 4.16665547e-2f, 0.16666577f, 0.5f};
};

template <>
struct ExpConstants<double> {
  static constexpr double kLog2E = 1.4426950408889634, kLn2High = 0.69314718056011770386,
                          kLn2Low = -1.7239444525614834773e-13;
  static constexpr double kShifter = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double kLowest = -400.0, kHighest = 709.43, kTanhLimit = 20.0;
  static constexpr int kDegree = 10;
  static constexpr double kQ[kDegree + 1] = {2.09146793765839351e-9,
                                             2.51052063739570111e-8,
                                             2.75572736613486362e-7,
                                             2.75572554257464343e-6,
                                             2.48015873255333638e-5,
                                             1.98412698748004920e-4,
                                             1.38888888888837524e-3,
                                             8.33333333332614088e-3,
                                             4.16666666666666698e-2,
                                             0.166666666666666710,
                                             0.5};
};

/// The polynomial with the coefficients of C from k on, continued from q. Unrolled by recursion, because CUDA takes
/// the coefficients from a host array as constants only.
template <class C, int k, class V>
FASTRNN_HD V continue_polynomial(V q, V r) {
  if constexpr (k <= C::kDegree) {
    constexpr typename V::Scalar coefficient = C::kQ[k];
    return continue_polynomial<C, k + 1>(fma(q, r, V(coefficient)), r);
  } else {
    return q;
  }
}

/// Splits exp(x) = 2^n * (1 + p): returns p = expm1(x - n ln 2) and 2^n.
template <class V>
FASTRNN_HD void split_exp(V x, V& p, V& scale) {
  using C = ExpConstants<typename V::Scalar>;
  const V shifted = fma(x, V(C::kLog2E), V(C::kShifter));
  const V n = shifted - V(C::kShifter);
  const V r = fma(n, V(-C::kLn2Low), fma(n, V(-C::kLn2High), x));
  constexpr typename V::Scalar leading = C::kQ[0];
  p = fma(r * r, continue_polynomial<C, 1>(V(leading), r), r);
  scale = pow2_from_shifted(shifted);
}

/// Keeps the values at kLowest and kHighest beyond them.
template <class V>
FASTRNN_HD V exp(V x) {
  using C = ExpConstants<typename V::Scalar>;
  V p, scale;
  split_exp(at_least(V(C::kLowest), at_most(V(C::kHighest), x)), p, scale);
  return fma(scale, p, scale);  // multiplied, not added to the exponent bits: that could turn a NaN into a number
}

/// 1 / (1 + exp(-x))
template <class V>
FASTRNN_HD V sigmoid(V x) {
  const V one(typename V::Scalar(1));
  return one / (one + exp(-x));
}

/// With e = exp(2|x|): (e - 1) / (e + 1) from expm1 near zero, where it keeps the relative error small, and
/// 1 - 2 / (e + 1) further out, where it rounds nearly once. One division serves both; gradients through many saturated
/// steps feel each ulp, since 1 - tanh^2 magnifies it.
template <class V>
FASTRNN_HD V tanh(V x) {
  using S = typename V::Scalar;
  using C = ExpConstants<S>;
  const V one(S(1)), two(S(2)), border(S(0.55));
  const V size = at_most(V(C::kTanhLimit), magnitude(x));
  V p, scale;
  split_exp(size + size, p, scale);
  const V expm1 = fma(scale, p, scale - one);
  const V quotient = where_at_most(size, border, expm1, two) / (expm1 + two);
  return with_sign(where_at_most(size, border, quotient, one - quotient), x);
}

}  // namespace fastrnn
