#pragma once
// Where a thread finds the rows it trains: in the shared matrix, or in its copies of the hot rows.

#include "cpu/vec.h"
#include "word2vec/settings.h"

namespace fastrnn {
namespace FASTRNN_ISA {
namespace word2vec {

using namespace fastrnn::word2vec;

enum class Sharing {
  kDirect,  // one thread, or cold rows only: Hogwild on the shared matrix
  kHot,     // copies of the first rows, because a row that two cores write in turn costs 100 ns each time
};

template <Sharing kSharing>
FASTRNN_INLINE float* find_row(Rows& rows, int32_t row, int stride) {
  if constexpr (kSharing == Sharing::kDirect) {
    return rows.shared + int64_t(row) * stride;
  } else {
    return (row < rows.hot ? rows.copy : rows.shared) + int64_t(row) * stride;
  }
}

/// Starts loading a cache line to be written: owning it at once spares the second trip that a mere read would cost.
FASTRNN_INLINE void prefetch_line(const float* p) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*p));  // GCC takes prefetcht0 unless told that the machine has this one; all have
#else
  __builtin_prefetch(p, 1);
#endif
}

/// Starts loading a row that will be wanted soon.
template <Sharing kSharing>
FASTRNN_INLINE void prefetch_row(const Rows& rows, int32_t row, int stride) {
  if constexpr (kSharing == Sharing::kHot)
    if (row < rows.hot) return;
  const float* const p = rows.shared + int64_t(row) * stride;
  for (int i = 0; i < stride; i += 16) prefetch_line(p + i);
}

/// Adds what this thread has changed in rows [begin, end) to the shared ones, and copies those anew. Another thread
/// may do the same at the same time; the update of a number that both write in that instant may be lost.
static __attribute__((noinline)) void merge_hot(Rows& rows, int32_t begin, int32_t end, int stride) {
  using V = Vec<float>;
  const int64_t last = int64_t(end < rows.hot ? end : rows.hot) * stride;
  for (int64_t i = int64_t(begin) * stride; i < last; i += V::kLanes) {
    const V merged = V::load(rows.shared + i) + (V::load(rows.copy + i) - V::load(rows.base + i));
    merged.store(rows.shared + i);
    merged.store(rows.copy + i);
    merged.store(rows.base + i);
  }
}

/// Merges the tiers whose time has come.
static __attribute__((noinline)) void merge_due(Worker& worker, int stride) {
  int64_t next = INT64_MAX;
  Rows* const all[] = {&worker.nodes, &worker.inputs, &worker.negatives};
  for (Rows* rows : all) {
    for (int t = 0; t < kTiers; ++t) {
      const int32_t begin = t ? kTierEnds[t - 1] : 0;
      if (rows->hot <= begin) break;
      rows->left[t] -= worker.slept;
      if (rows->left[t] <= 0) {
        merge_hot(*rows, begin, kTierEnds[t], stride);
        rows->left[t] = rows->interval[t];
      }
      if (rows->left[t] < next) next = rows->left[t];
    }
  }
  worker.until_merge = worker.slept = next;
}

}  // namespace word2vec
}  // namespace FASTRNN_ISA
}  // namespace fastrnn
