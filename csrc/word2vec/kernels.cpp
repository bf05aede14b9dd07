// Compiled once for every instruction set, as cpu/kernels.cpp is; nothing may be visible but the table at the end.

#include "word2vec/kernels.h"

#include "cpu/denormals.h"
#include "word2vec/pass.h"

namespace fastrnn {
namespace FASTRNN_ISA {
namespace {

using namespace word2vec;

template <Sharing kSharing>
void train(const Settings& settings, Worker& worker, Sentences range, uint64_t key, float alpha) {
  const FlushDenormals scope;
  Pass<kSharing> pass(settings, worker, key, alpha);
  for (int64_t s = range.begin; s < range.end; ++s) pass.sentence(settings.offsets[s], settings.offsets[s + 1]);
}

void train_shard(const Settings& settings, Worker& worker, int64_t begin, int64_t end, uint64_t key, float alpha) {
  const FlushDenormals scope;
  Pass<Sharing::kShard>(settings, worker, key, alpha).sentence(begin, end);
}

void merge(const Settings& settings, Worker& worker) {
  Rows* const all[] = {&worker.inputs, &worker.nodes, &worker.negatives};
  for (Rows* rows : all)
    if (rows->hot) merge_hot(*rows, 0, rows->hot, settings.stride);
}

double score(const Settings& settings, Worker& worker, int64_t begin, int64_t end) {
  return Scorer(settings, worker).sentence(begin, end);
}

/// target += weight * (row - base)
void blend(float* target, const float* row, const float* base, float weight, int stride) {
  const V factor(weight);
  for (int i = 0; i < stride; i += W)
    fma(factor, V::load(row + i) - V::load(base + i), V::load(target + i)).store(target + i);
}

void add_updates(float* matrix, const Update* updates, const int32_t* which, int64_t count, const float* saved,
                 int stride) {
  constexpr int kAhead = 6;
  for (int64_t k = 0; k < count; ++k) {
    if (k + kAhead < count) {
      const float* const later = matrix + int64_t(updates[which[k + kAhead]].row) * stride;
      for (int i = 0; i < stride; i += 16) prefetch_line(later + i);
    }
    const Update& update = updates[which[k]];
    add_error(matrix + int64_t(update.row) * stride, saved + int64_t(update.saved) * stride, update.coefficient,
              stride / W);
  }
}

}  // namespace

extern const fastrnn::word2vec::Kernels word2vec_kernels;
const fastrnn::word2vec::Kernels word2vec_kernels = {
    W, train<Sharing::kDirect>, train<Sharing::kHot>, merge, train_shard, score, blend, add_updates};

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
