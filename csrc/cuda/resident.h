#pragma once
// A block's weights, on the chip for the whole sequence, and the products with them. Threads split the sums of the
// block and the depth; what they have of each sum goes to shared memory and is added up in an order that depends on
// neither the batch nor the step. float32 with fused multiply-adds.
//
// Whatever stands for Weights in a persistent kernel has these:
//   Number    the type of storage of weights and operand (exchange.h)
//   kThreads  of a block, at the most
//   load      takes weight(sum, k), a Number, for the sums of the block and the depth; zero past the last of either
//   multiply  leaves partial sums in float32 for add_partials and sums_of, one a slice, row and sum

#include "core/host_device.h"
#include "cuda/plan.h"
#include "cuda/storage.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

using cuda::Placement;

/// Where a thread's part of the sums of row i goes: [k slice, row, sum].
FASTRNN_DEVICE float* partials_of(const Placement& place, float* shared, int phase, int slice, int row) {
  return shared + place.partials_at + (int64_t(slice) * place.group_rows + row) * place.padded_sums(phase);
}

/// In registers: each thread keeps 8 sums' weights of 8 neighbors in the depth. For cells of one phase.
struct RegisterWeights {
  using Number = float;
  static constexpr int kThreads = cuda::kRegisterThreads;  // 168 registers each: with more threads some cells spill
  static constexpr int kSums = 8, kDepth = 8;
  float w[kSums][kDepth];

  /// weight(sum, k), zero past the last of either.
  template <class Weight>
  FASTRNN_DEVICE void load(const Placement& place, float*, float*, int phase, const Weight& weight) {
    const int first_sum = thread_index() % place.row_groups[phase] * kSums;
    const int first_k = thread_index() / place.row_groups[phase] * kDepth;
    const int sums = place.width[phase];
#pragma unroll
    for (int r = 0; r < kSums; ++r)
#pragma unroll
      for (int k = 0; k < kDepth; ++k)
        w[r][k] = first_sum + r < sums && first_k + k < place.depth[phase] ? weight(first_sum + r, first_k + k) : 0.0f;
  }

  FASTRNN_DEVICE void multiply(const Placement& place, float* shared, const float*, int phase, const float* operand,
                               int rows) const {
    const int group = thread_index() % place.row_groups[phase], slice = thread_index() / place.row_groups[phase];
    if (slice >= place.k_slices[phase]) return;
    for (int i = 0; i < rows; ++i) {
      const float* const line = operand + int64_t(i) * place.operand_pitch + slice * kDepth;
      const Vec4 low = load4(line), high = load4(line + 4);
      float* const to = partials_of(place, shared, phase, slice, i) + group * kSums;
#pragma unroll
      for (int r = 0; r < kSums; ++r) {
        float sum = 0.0f;
#pragma unroll
        for (int k = 0; k < 4; ++k) sum = ::fmaf(w[r][k], low.v[k], sum);
#pragma unroll
        for (int k = 0; k < 4; ++k) sum = ::fmaf(w[r][4 + k], high.v[k], sum);
        to[r] = sum;
      }
    }
  }
};

/// In shared memory, [k / 4, sum, k % 4]: each thread reads 4 sums' weights of its slice of the depth for 4 rows of the
/// batch at a time. Where not all of them fit, the first quads of each slice do; the block puts the others into global
/// memory of its own, in the same order, where neighboring threads read neighboring quads of it in every step, be
/// the product forward's or backward's: from the second-level cache, if all blocks' fit that.
template <class T>
struct SharedWeights {
  using Number = T;
  static constexpr int kThreads = cuda::kSharedThreads;
  static constexpr int kSums = 4, kRows = 4;

  /// `own`: of the block, place.streamed_floats of them; others see them never, and this block after a barrier.
  template <class Weight>
  FASTRNN_DEVICE void load(const Placement& place, float* shared, float* own, int phase, const Weight& weight) {
    const int padded = place.padded_sums(phase), sums = place.width[phase];
    const int quads = (place.depth[phase] + 3) / 4;
    const int length = place.slice_tiles(phase), resident = place.resident[phase];
    T* const kept = reinterpret_cast<T*>(shared + place.weights_at[phase]);
    T* const others = reinterpret_cast<T*>(own + place.streamed_at[phase]);
    for (int i = thread_index(); i < quads * padded * 4; i += num_threads()) {
      // Threads go along what lies side by side in memory: the depth, or in backward sums.
      const int k = place.sums_adjoin ? i / padded : i % (quads * 4);
      const int sum = place.sums_adjoin ? i % padded : i / (quads * 4);
      const int slice = k / 4 / length, quad = k / 4 % length;
      T* const to = quad < resident ? kept + int64_t(slice * resident + quad) * padded * 4
                                    : others + int64_t(slice * (length - resident) + quad - resident) * padded * 4;
      to[sum * 4 + k % 4] = sum < sums && k < place.depth[phase] ? weight(sum, k) : T{};
    }
  }

  FASTRNN_DEVICE void multiply(const Placement& place, float* shared, const float* own, int phase, const T* operand,
                               int rows) const {
    const int groups = place.row_groups[phase], slices = place.k_slices[phase];
    const int group = thread_index() % groups, slice = thread_index() / groups;
    if (slice >= slices) return;
    const int padded = place.padded_sums(phase), quads = (place.depth[phase] + 3) / 4;
    const int length = place.slice_tiles(phase), resident = place.resident[phase];
    const int begin = slice * length, count = begin + length < quads ? length : quads - begin;
    for (int first = 0; first < rows; first += kRows) {
      float sums[kRows][kSums] = {};
      // First what is kept, then the others; in one loop for both, because with two registers spill.
#pragma unroll 1
      for (int quad = 0, kind = 0; kind < 2; ++kind) {
        const int kind_quads = kind ? length - resident : resident;
        const int end = kind || count < resident ? count : resident;
        const T* weights =
            reinterpret_cast<const T*>(kind ? own + place.streamed_at[phase] : shared + place.weights_at[phase]);
        weights += (slice * kind_quads * padded + group) * 4;
        for (; quad < end; ++quad, weights += padded * 4) {
          Vec4 w[kSums];
#pragma unroll
          for (int r = 0; r < kSums; ++r) w[r] = load4(weights + r * groups * 4);
#pragma unroll
          for (int i = 0; i < kRows; ++i) {
            const int row = first + i < rows ? first + i : rows - 1;
            const Vec4 x = load4(operand + int64_t(row) * place.operand_pitch + (begin + quad) * 4);
#pragma unroll
            for (int r = 0; r < kSums; ++r)
#pragma unroll
              for (int k = 0; k < 4; ++k) sums[i][r] = ::fmaf(w[r].v[k], x.v[k], sums[i][r]);
          }
        }
      }
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        if (first + i >= rows) continue;
        float* const to = partials_of(place, shared, phase, slice, first + i);
#pragma unroll
        for (int r = 0; r < kSums; ++r) to[r * groups + group] = sums[i][r];
      }
    }
  }
};

constexpr int kChunk = 8;  // slices that are added up together first

/// After multiply: the block's partial sums, in chunks. Begins and ends with a barrier.
FASTRNN_DEVICE void add_partials(const Placement& place, float* shared, int phase, int rows) {
  sync_block();
  const int slices = place.k_slices[phase], padded = place.padded_sums(phase);
  if (slices <= kChunk) return;
  const int chunks = (slices + kChunk - 1) / kChunk;
  const int64_t stride = int64_t(place.group_rows) * padded;
  for (int i = thread_index(); i < chunks * rows * padded; i += num_threads()) {
    const int chunk = i / (rows * padded), at = i % (rows * padded);
    float* const first = shared + place.partials_at + int64_t(chunk) * kChunk * stride + at;
    const int left = slices - chunk * kChunk;
    float sum = *first;
    for (int s = 1; s < kChunk && s < left; ++s) sum += first[s * stride];
    *first = sum;
  }
  sync_block();
}

/// The sums of unit `unit` of the block for a row, output after output.
template <int kOutputs>
FASTRNN_DEVICE Pack<ScalarValue<float>, kOutputs> sums_of(const Placement& place, float* shared, int phase, int row,
                                                          int unit) {
  const int slices = place.k_slices[phase];
  const int step = slices <= kChunk ? 1 : kChunk;
  Pack<ScalarValue<float>, kOutputs> sums;
#pragma unroll
  for (int r = 0; r < kOutputs; ++r) {
    float sum = 0.0f;
    for (int s = 0; s < slices; s += step) sum += partials_of(place, shared, phase, s, row)[r * place.units + unit];
    sums[r] = ScalarValue<float>(sum);
  }
  return sums;
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
