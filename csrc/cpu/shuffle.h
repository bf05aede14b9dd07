#pragma once
// Moving lanes between registers.

#include "cpu/vec.h"

namespace fastrnn {
namespace FASTRNN_ISA {

template <int... I>
struct Indices {};
template <int N, int... I>
struct MakeIndices : MakeIndices<N - 1, N - 1, I...> {};
template <int... I>
struct MakeIndices<0, I...> {
  using type = Indices<I...>;
};

/// Even lanes of the result from a, odd ones from b; the lower or the upper half of both.
template <class N, int... I>
FASTRNN_INLINE N interleave_low(N a, N b, Indices<I...>) {
  return __builtin_shufflevector(a, b, (I % 2 ? int(sizeof...(I)) + I / 2 : I / 2)...);
}
template <class N, int... I>
FASTRNN_INLINE N interleave_high(N a, N b, Indices<I...>) {
  constexpr int half = int(sizeof...(I)) / 2;
  return __builtin_shufflevector(a, b, (I % 2 ? int(sizeof...(I)) + half + I / 2 : half + I / 2)...);
}

/// Transposes W registers of W lanes: log2(W) rounds of interleaving row i with row i + W/2.
template <class T>
FASTRNN_INLINE void transpose(Vec<T> (&rows)[Vec<T>::kLanes]) {
  constexpr int W = Vec<T>::kLanes;
  using All = typename MakeIndices<W>::type;
#pragma GCC unroll 4
  for (int round = 1; round < W; round *= 2) {
    Vec<T> mixed[W];
#pragma GCC unroll 8
    for (int i = 0; i < W / 2; ++i) {
      mixed[2 * i].v = interleave_low(rows[i].v, rows[i + W / 2].v, All{});
      mixed[2 * i + 1].v = interleave_high(rows[i].v, rows[i + W / 2].v, All{});
    }
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) rows[i] = mixed[i];
  }
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
