// Compiled once for every instruction set, as cpu/kernels.cpp is; nothing may be visible but the table at the end.

#include "word2vec/kernels.h"

#include "cpu/denormals.h"
#include "word2vec/column_pass.h"
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

void train_columns(const Settings& settings, ColumnWorker& worker, Sentences range, uint64_t key, float alpha) {
  const FlushDenormals scope;
  ColumnPass(settings, worker, key, alpha).train(range);
}

void merge(const Settings& settings, Worker& worker) {
  Rows* const all[] = {&worker.inputs, &worker.nodes, &worker.negatives};
  for (Rows* rows : all)
    if (rows->hot) merge_hot(*rows, 0, rows->hot, settings.stride);
}

double score(const Settings& settings, Worker& worker, int64_t begin, int64_t end) {
  return Scorer(settings, worker).sentence(begin, end);
}

}  // namespace

extern const fastrnn::word2vec::Kernels word2vec_kernels;
const fastrnn::word2vec::Kernels word2vec_kernels = {W,     train<Sharing::kDirect>, train<Sharing::kHot>,
                                                     merge, train_columns,           score};

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
