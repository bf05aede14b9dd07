#pragma once
// What one build of kernels.cpp offers to the trainer: everything for one instruction set.

#include <stdint.h>

#include "word2vec/settings.h"

namespace fastrnn {
namespace word2vec {

struct Sentences {
  int64_t begin, end;  // of Settings::offsets
};

struct ColumnWorker;

struct Kernels {
  int lanes;  // of a register: the stride of the matrices must be a multiple of it

  // Train on whole sentences with the shared matrices, or through the worker's copies of hot rows, which `merge` (all
  // tiers) brings up to date.
  void (*train)(const Settings&, Worker&, Sentences, uint64_t key, float alpha);
  void (*train_hot)(const Settings&, Worker&, Sentences, uint64_t key, float alpha);
  void (*merge)(const Settings&, Worker&);
  // One thread's part of deterministic training: its columns, and all threads together the products.
  void (*train_columns)(const Settings&, ColumnWorker&, Sentences, uint64_t key, float alpha);
  // The log-likelihood of tokens [begin, end), one sentence.
  double (*score)(const Settings&, Worker&, int64_t begin, int64_t end);
};

}  // namespace word2vec
}  // namespace fastrnn
