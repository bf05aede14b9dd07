#pragma once
// A block's part of a step's recurrent product where weights are read from memory in every step: staged through shared
// memory in pieces of the depth, each piece shared by all rows of the tile. Halves are widened on the way there.

#include "core/host_device.h"
#include "cuda/storage.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

/// A block computes 8 units of 16 rows, each pair with one thread of each of 4 slices of the depth: enough blocks for
/// a whole GPU from 1024 units on even with one row, and 16 warps to hide how long memory takes.
template <class T>
struct Tile {
  static constexpr int kUnits = 8, kRows = 16, kSlices = 4, kPairs = kUnits * kRows, kThreads = kPairs * kSlices;
  static constexpr int kDepth = 64;          // of a piece
  static constexpr int kPitch = kDepth + 4;  // 8 neighbors' vectors of 4 floats then lie in different banks

  template <int kOutputs>
  static constexpr int shared_bytes() {
    constexpr int staged = (kOutputs * kUnits + kRows) * kPitch, sums = kOutputs * kThreads;
    return int(sizeof(Compute<T>)) * (staged > sums ? staged : sums);
  }
};

/// For each pair of a unit and a row, kOutputs sums over the depth of weight(output, unit, k) * line(row).at(k), both
/// numbers to compute with. The sums of pair p come to thread p; those of a pair do not depend on how many blocks or
/// rows there are. `weights_along`: whether neighbors in memory are neighbors in the depth, else they are neighboring
/// units.
template <class T, int kOutputs, bool weights_along, class Weight, class Line>
FASTRNN_DEVICE void multiply_tile(void* shared_memory, int depth, const Weight& weight, const Line& line,
                                  Pack<Value<T>, kOutputs>& sums) {
  using V = Value<T>;
  using Shape = Tile<T>;
  constexpr int kDepth = Shape::kDepth, kPitch = Shape::kPitch, kUnits = Shape::kUnits;
  Compute<T>* const shared = static_cast<Compute<T>*>(shared_memory);
  Compute<T>* const weights = shared;
  Compute<T>* const operands = shared + kOutputs * kUnits * kPitch;
  const int me = thread_index(), pair = me % Shape::kPairs, slice = me / Shape::kPairs;
  const int unit = pair % kUnits, row = pair / kUnits;
  constexpr int kLines = Shape::kRows * kDepth / Shape::kThreads;  // that a thread copies an element of
  static_assert(Shape::kThreads % kDepth == 0, "a thread keeps to one k of a piece");
  static_assert(kLines == 2, "of these");
  const decltype(line(0)) lines[kLines] = {line(me / kDepth), line(me / kDepth + Shape::kThreads / kDepth)};
#pragma unroll
  for (int r = 0; r < kOutputs; ++r) sums[r] = V(0);
  for (int start = 0; start < depth; start += kDepth) {
    for (int i = me; i < kOutputs * kUnits * kDepth; i += Shape::kThreads) {
      const int to = weights_along ? i / kDepth : i / (kUnits * kDepth) * kUnits + i % kUnits;
      const int k = weights_along ? i % kDepth : i / kUnits % kDepth;
      weights[to * kPitch + k] = start + k < depth ? weight(to / kUnits, to % kUnits, start + k).v : 0;
    }
    const int k_of_mine = me % kDepth;
#pragma unroll
    for (int i = 0; i < kLines; ++i)
      operands[(me / kDepth + i * (Shape::kThreads / kDepth)) * kPitch + k_of_mine] =
          start + k_of_mine < depth ? lines[i].at(start + k_of_mine).v : 0;
    sync_block();
    constexpr int kPart = kDepth / Shape::kSlices;
#pragma unroll
    for (int k = 0; k < kPart; ++k) {
      const V factor(operands[row * kPitch + slice * kPart + k]);
#pragma unroll
      for (int r = 0; r < kOutputs; ++r)
        sums[r] = fma(V(weights[(r * kUnits + unit) * kPitch + slice * kPart + k]), factor, sums[r]);
    }
    sync_block();
  }
#pragma unroll
  for (int r = 0; r < kOutputs; ++r) shared[r * Shape::kThreads + me] = sums[r].v;
  sync_block();
  if (slice > 0) return;
#pragma unroll
  for (int r = 0; r < kOutputs; ++r)
#pragma unroll
    for (int s = 1; s < Shape::kSlices; ++s)
      sums[r] = sums[r] + V(shared[r * Shape::kThreads + s * Shape::kPairs + me]);
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
