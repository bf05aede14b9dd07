#pragma once
// What one build of kernels.cpp offers to the trainer: everything for one instruction set.

#include <stdint.h>

#include "word2vec/settings.h"

namespace fastrnn {
namespace word2vec {

struct Sentences {
  int64_t begin, end;  // of Settings::offsets
};

struct Kernels {
  int lanes;  // of a register: the stride of the matrices must be a multiple of it

  // Train on whole sentences with the shared matrices, or through the worker's copies of hot rows, which `merge` (all
  // tiers) brings up to date.
  void (*train)(const Settings&, Worker&, Sentences, uint64_t key, float alpha);
  void (*train_hot)(const Settings&, Worker&, Sentences, uint64_t key, float alpha);
  void (*merge)(const Settings&, Worker&);
  // Trains on tokens [begin, end) as one sentence, on the worker's copies of the rows it touches.
  void (*train_shard)(const Settings&, Worker&, int64_t begin, int64_t end, uint64_t key, float alpha);
  // The log-likelihood of tokens [begin, end), one sentence.
  double (*score)(const Settings&, Worker&, int64_t begin, int64_t end);
  // target += weight * (row - base)
  void (*blend)(float* target, const float* row, const float* base, float weight, int stride);
  // Adds those of a shard's updates that `which` lists to the rows of a matrix.
  void (*add_updates)(float* matrix, const Update* updates, const int32_t* which, int64_t count, const float* saved,
                      int stride);
};

}  // namespace word2vec
}  // namespace fastrnn
