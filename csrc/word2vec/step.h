#pragma once
// The arithmetic of training: rows of weights against one or a few input vectors, in registers.
//
// Hierarchical softmax predicts one center word from each context vector h: along the nodes s of the center's path
//   f = h . s,   g = (1 - turn - sigmoid(f)) * alpha,   e += g s,   s += g h,   and at last h += e;
// negative sampling does the same with the rows of the center (label 1) and of drawn words (label 0). The rows of a
// path differ from one another, so first taking all f and then all updates changes nothing but the order of sums.
// A few contexts of the same center (a tile) share one pass over the path, and yet go one after the other: what context
// a does to a row changes the product of a later context b by g_a (h_a . h_b), so the products of the contexts with one
// another make up for it.

#include "cpu/shuffle.h"
#include "cpu/tiling.h"
#include "math/activations.h"
#include "word2vec/settings.h"

namespace fastrnn {
namespace FASTRNN_ISA {
namespace word2vec {

using V = Vec<float>;
constexpr int W = V::kLanes;
constexpr int kRowTile = 4;
constexpr int kMaxContexts = 6;  // of a tile: 4 rows x 6 contexts of sums, 6 of inputs and a row fill 31 registers
constexpr int kDotContexts = kRegisters >= 32 ? 6 : 2;
static_assert(W == 4 || W == 8 || W == 16, "dot_products folds registers of these widths");
constexpr float kSaturation = 6;  // word2vec.c's MAX_EXP

/// Halves the lanes of p's and q's blocks of S by adding each block's upper half to its lower one.
template <int S, int... I>
FASTRNN_INLINE V fold(V p, V q, Indices<I...>) {
  constexpr int H = S / 2;
  return V(__builtin_shufflevector(p.v, q.v, ((I / H) * S + I % H)...)) +
         V(__builtin_shufflevector(p.v, q.v, ((I / H) * S + I % H + H)...));
}
template <int S>
FASTRNN_INLINE V fold(V p, V q) {
  return fold<S>(p, q, typename MakeIndices<W>::type{});
}

/// out[c], lane r: rows[r] . inputs[c] over registers [first, last), for C contexts and the first 4 * tiles rows of W;
/// other lanes are 0.
template <int C>
FASTRNN_INLINE void dot_products(const float* const* rows, int tiles, const float* const* inputs, int first, int last,
                                 V* out) {
  constexpr int kTiles = W / kRowTile;
  V partial[kTiles][C];
#pragma GCC unroll 4
  for (int t = 0; t < kTiles; ++t) {
    if (t >= tiles) {
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) partial[t][c] = V(0.0f);
      continue;
    }
    V sums[kRowTile][C];
#pragma GCC unroll 4
    for (int r = 0; r < kRowTile; ++r) {
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) sums[r][c] = V(0.0f);
    }
    const float* const s0 = rows[t * kRowTile];
    const float* const s1 = rows[t * kRowTile + 1];
    const float* const s2 = rows[t * kRowTile + 2];
    const float* const s3 = rows[t * kRowTile + 3];
    for (int j = first; j < last; ++j) {
      V h[C];
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) h[c] = V::load(inputs[c] + j * W);
      const float* const s[kRowTile] = {s0, s1, s2, s3};
#pragma GCC unroll 4
      for (int r = 0; r < kRowTile; ++r) {
        const V row = V::load(s[r] + j * W);
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) sums[r][c] = fma(row, h[c], sums[r][c]);
      }
    }
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
      partial[t][c] = fold<W / 2>(fold<W>(sums[0][c], sums[1][c]), fold<W>(sums[2][c], sums[3][c]));
  }
#pragma GCC unroll 8
  for (int c = 0; c < C; ++c) {
    if constexpr (kTiles == 1) {
      out[c] = partial[0][c];
    } else if constexpr (kTiles == 2) {
      out[c] = fold<2>(partial[0][c], partial[1][c]);
    } else {
      out[c] = fold<2>(fold<4>(partial[0][c], partial[1][c]), fold<4>(partial[2][c], partial[3][c]));
    }
  }
}

/// f(IntConstant<n>(), first register) over all registers of a row, at most 8 at a time.
template <class F>
FASTRNN_INLINE void for_registers(int registers, const F& f) {
  int j = 0;
  for (; j + 8 <= registers; j += 8) f(IntConstant<8>{}, j);
  if (j < registers) with_constant<7>(registers - j, [&](auto n) { f(n, j); });
}

/// target = factor * sum of rows
FASTRNN_INLINE void sum_rows(const float* const* rows, int count, float factor, int registers, float* target) {
  for_registers(registers, [&](auto n, int first) {
    constexpr int N = decltype(n)::value;
    V sum[N];
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) sum[j] = V::load(rows[0] + (first + j) * W);
    for (int r = 1; r < count; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < N; ++j) sum[j] = sum[j] + V::load(rows[r] + (first + j) * W);
    }
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) (sum[j] * V(factor)).store(target + (first + j) * W);
  });
}

/// row += factor * error
FASTRNN_INLINE void add_error(float* row, const float* error, float factor, int registers) {
  for_registers(registers, [&](auto n, int first) {
#pragma GCC unroll 8
    for (int j = first; j < first + decltype(n)::value; ++j)
      fma(V(factor), V::load(error + j * W), V::load(row + j * W)).store(row + j * W);
  });
}

/// word2vec.c's sigmoid: entry int((f + 6) * 83) of 1000, its 83 being 1000 / 6 / 2 in integers.
FASTRNN_INLINE V table_sigmoid(V f, const float* table) {
  float lanes[W];
  f.store(lanes);
  for (int i = 0; i < W; ++i) {
    const bool inside = lanes[i] > -kSaturation && lanes[i] < kSaturation;  // false for NaN
    lanes[i] = inside         ? table[int((lanes[i] + kSaturation) * 83)]
               : lanes[i] > 0 ? 1.0f
               : lanes[i] < 0 ? 0.0f
                              : lanes[i];
  }
  return V::load(lanes);
}

/// Labels of a path from lane `first` on: 1 - turn.
FASTRNN_INLINE V path_labels(uint64_t code, int first) {
  using Int = typename NativeOf<int32_t>::type;
  Int lane;
  for (int i = 0; i < W; ++i) lane[i] = i;
  const Int turns = (Int{} + int32_t((code >> first) & 0xFFFF)) >> lane & 1;
  return V(__builtin_convertvector(1 - turns, typename V::Native));
}

/// g / alpha. Saturated outputs get no gradient (skip), or that of a sigmoid of exactly 0 or 1.
FASTRNN_INLINE V gradient(V f, V label, bool skip_saturated, const float* table) {
  V p = table ? table_sigmoid(f, table) : sigmoid(f);
  const V zero(0.0f), limit(kSaturation);
  if (skip_saturated) return V(where_at_most(limit, magnitude(f), zero, label - p));
  p = where_at_most(limit, f, V(1.0f), p);
  p = where_at_most(f, -limit, zero, p);
  return label - p;
}

/// out[c] as of dot_products, for any C.
template <int C>
FASTRNN_INLINE void all_products(const float* const* rows, int tiles, const float* const* inputs, int first, int last,
                                 V* out) {
  constexpr int D = C < kDotContexts ? C : kDotContexts;
#pragma GCC unroll 8
  for (int c = 0; c + D <= C; c += D) dot_products<D>(rows, tiles, inputs + c, first, last, out + c);
  if constexpr (C % D != 0) dot_products<C % D>(rows, tiles, inputs + C / D * D, first, last, out + C / D * D);
}

/// Numbers that pair_products writes, before the rest of the last register.
constexpr int pair_products_size(int contexts) {
  int size = 0;
  for (int a = 0; a < contexts - 1; a += kRowTile) size += (contexts - 1 - a) * kRowTile;
  return size;
}

/// The products of C contexts with one another, in tiles of kRowTile contexts a with each b > a.
/// dots(IntConstant<n>(), rows, inputs, out) is dot_products of one tile with n inputs.
template <int C, class Dots>
FASTRNN_INLINE void pair_products(const float* const* inputs, const Dots& dots, float* products) {
  int n = 0;
#pragma GCC unroll 2
  for (int a = 0; a < C - 1; a += kRowTile) {
    const float* rows[kRowTile];
    for (int r = 0; r < kRowTile; ++r) rows[r] = inputs[a + r < C ? a + r : a];
    with_constant<(C > 1 ? C - 1 : 1)>(C - 1 - a, [&](auto count) {
      V out[decltype(count)::value];
      dots(count, rows, inputs + a + 1, out);
      for (int b = 0; b < decltype(count)::value; ++b, n += kRowTile) out[b].store(products + n);
    });
  }
}

/// pairs[a][b], a < b, from what pair_products has written.
template <int C>
FASTRNN_INLINE void arrange_pairs(const float* products, float (*pairs)[kMaxContexts]) {
  for (int a = 0; a < C - 1; a += kRowTile)
    for (int b = a + 1; b < C; ++b, products += kRowTile)
      for (int r = 0; r < kRowTile && a + r < b; ++r) pairs[a + r][b] = products[r];
}

/// For C contexts, one after the other: e[c] (+)= sum over rows of g[c][row] row, and rows += g[c][row] input[c], on
/// registers j0 .. j0 + N - 1. The rows' new values go to `targets`. With `add`, e is added to what lies there.
template <int C, int N>
FASTRNN_INLINE void update_registers(float* const* rows, float* const* targets, int num_rows, const float* g,
                                     int g_stride, const float* const* inputs, float* const* e, bool add, int j0) {
  V h[C][N], sum[C][N];
#pragma GCC unroll 8
  for (int c = 0; c < C; ++c) {
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) {
      h[c][j] = V::load(inputs[c] + (j0 + j) * W);
      sum[c][j] = V(0.0f);
    }
  }
  if (add) {
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
#pragma GCC unroll 8
      for (int j = 0; j < N; ++j) sum[c][j] = V::load(e[c] + (j0 + j) * W);
    }
  }
  for (int r = 0; r < num_rows; ++r) {
    const float* const row = rows[r] + j0 * W;
    float* const target = targets[r] + j0 * W;
    V fresh[N];
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) fresh[j] = V::load(row + j * W);
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
      const V coefficient(g[c * g_stride + r]);
#pragma GCC unroll 8
      for (int j = 0; j < N; ++j) {
        sum[c][j] = fma(coefficient, fresh[j], sum[c][j]);
        fresh[j] = fma(coefficient, h[c][j], fresh[j]);
      }
    }
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) fresh[j].store(target + j * W);
  }
#pragma GCC unroll 8
  for (int c = 0; c < C; ++c) {
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) sum[c][j].store(e[c] + (j0 + j) * W);
  }
}

constexpr int at_most_8(int n) { return n < 1 ? 1 : n > 8 ? 8 : n; }

template <int C>
FASTRNN_INLINE void update(float* const* rows, float* const* targets, int num_rows, const float* g, int g_stride,
                           const float* const* inputs, float* const* e, bool add, int registers) {
  constexpr int kWide = at_most_8((kRegisters - 4) / (2 * C));  // inputs and sums, a row, a g
  int j = 0;
  for (; j + kWide <= registers; j += kWide)
    update_registers<C, kWide>(rows, targets, num_rows, g, g_stride, inputs, e, add, j);
  if constexpr (kWide > 1) {
    if (j < registers) {
      with_constant<kWide - 1>(registers - j, [&](auto n) {
        update_registers<C, decltype(n)::value>(rows, targets, num_rows, g, g_stride, inputs, e, add, j);
      });
    }
  }
}

}  // namespace word2vec
}  // namespace FASTRNN_ISA
}  // namespace fastrnn
