#pragma once
// The memory of one thread or shard.

#include <stdlib.h>

#include <algorithm>
#include <memory>
#include <new>

#include "word2vec/settings.h"

namespace fastrnn {
namespace word2vec {

struct Free {
  void operator()(void* p) const { free(p); }
};

/// An array on a cache line's border, not initialized; pages that are never touched cost nothing.
template <class T>
class Array {
 public:
  Array() = default;
  explicit Array(int64_t size) {
    if (size > INT64_MAX / int64_t(2 * sizeof(T))) throw std::bad_alloc();
    const size_t bytes = (size_t(std::max<int64_t>(size, 1)) * sizeof(T) + 63) / 64 * 64;
    memory_.reset(static_cast<T*>(aligned_alloc(64, bytes)));
    if (!memory_) throw std::bad_alloc();
  }
  T* get() const { return memory_.get(); }

 private:
  std::unique_ptr<T, Free> memory_;
};

/// A Worker and what it points to.
class WorkerMemory : public Worker {
 public:
  static constexpr int kMaxTile = 8;  // contexts; the kernels take at most 6
  static constexpr int kSpare = 16;   // room to fill up a register

  explicit WorkerMemory(const Settings& s)
      : words_(s.max_kept + 1),
        draws_(s.max_kept + 1),
        floats_(int64_t(s.stride) * (1 + kMaxTile) + int64_t(kMaxTile) * (s.max_rows() + kSpare)),
        addresses_(2 * int64_t(s.max_rows() + kSpare + kMaxTurns) + 2 * int64_t(s.window)),
        targets_(kTargetRing * int64_t(s.negative) * (s.skip_gram ? 2 * int64_t(s.window) : 1)),
        frozen_(s.train_outputs ? 0 : 2 * int64_t(s.max_rows()) * s.stride) {
    inputs.shared = s.vectors;
    nodes.shared = s.node_vectors;
    negatives.shared = s.negative_vectors;
    kept_words = words_.get();
    kept_draws = draws_.get();
    input_sum = floats_.get();
    errors = input_sum + s.stride;
    coefficients = errors + int64_t(kMaxTile) * s.stride;
    pointers = addresses_.get();
    Worker::targets = targets_.get();
    frozen = frozen_.get();
  }

  /// Copies of the first rows, which are read from the shared ones at once.
  void keep_hot(Rows& rows, int64_t hot, int stride) {
    if (!rows.shared || hot <= 0) return;
    Array<float>& memory = copies_[num_copies_++];
    memory = Array<float>(2 * hot * stride);
    rows.copy = memory.get();
    rows.base = rows.copy + hot * stride;
    rows.hot = int32_t(hot);
  }

 private:
  Array<int32_t> words_;
  Array<uint64_t> draws_;
  Array<float> floats_;
  Array<const float*> addresses_;
  Array<int32_t> targets_;
  Array<float> frozen_;
  Array<float> copies_[3];
  int num_copies_ = 0;
};

}  // namespace word2vec
}  // namespace fastrnn
