#pragma once
// Strict training in plain loops of doubles: what the kernels are compared with. Everything is written out from the
// definition, with nothing taken from the trainer but the structures that say what to do.

#include <stdint.h>

#include <vector>

#include "word2vec/schedule.h"
#include "word2vec/settings.h"

namespace fastrnn {
namespace testing {

struct ScalarRun {
  std::vector<double> weights;  // all matrices that there are, without padding
  word2vec::Counts counts;
  double nearest_to_saturation;  // how near a score came to where its gradient jumps
};

/// First sentences of the chunks, within which the learning rate stays, and the end.
std::vector<int64_t> scalar_chunks(const word2vec::Settings& settings);

/// One epoch, beginning with the settings' weights, which stay as they are.
ScalarRun scalar_train(const word2vec::Settings& settings, const word2vec::Epoch& epoch);

/// The log-likelihood of one sentence.
double scalar_score(const word2vec::Settings& settings, int64_t sentence);

}  // namespace testing
}  // namespace fastrnn
