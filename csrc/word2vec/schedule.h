#pragma once
// What an epoch is told, how the learning rate falls, and how the corpus is cut into chunks.

#include <stdint.h>

#include <algorithm>
#include <vector>

#include "word2vec/settings.h"

namespace fastrnn {
namespace word2vec {

/// One epoch, or the rest of one.
struct Epoch {
  uint64_t number = 0;
  int64_t first_sentence = 0;  // a chunk's first
  double alpha_start = 0, alpha_end = 0;
  bool c_schedule = false;     // word2vec.c's: alpha_end is not asked, the floor is alpha_start / 10000
  bool by_sentences = false;   // progress is counted in sentences, as gensim does, not in words
  double done = 0, total = 1;  // units before this epoch, and of all epochs

  /// The learning rate after so many units of this epoch.
  double alpha(double units) const {
    if (c_schedule) return alpha_start * std::max(1e-4, 1 - (done + units) / (total + 1));
    return std::max(alpha_end, alpha_start - (alpha_start - alpha_end) * (done + units) / total);
  }
  double alpha_at(const Settings& settings, int64_t sentence) const {
    return alpha(double(by_sentences ? sentence : settings.offsets[sentence]));
  }
};

struct Progress {
  Counts counts;
  double alpha = 0;
};

/// First sentences of chunks of at least `words` words, and the end of the last.
inline std::vector<int64_t> cut_chunks(const Settings& settings, int64_t words) {
  std::vector<int64_t> starts{0};
  for (int64_t s = 0; s < settings.num_sentences; ++s) {
    if (settings.offsets[s + 1] - settings.offsets[starts.back()] >= words || s + 1 == settings.num_sentences)
      starts.push_back(s + 1);
  }
  return starts;
}

}  // namespace word2vec
}  // namespace fastrnn
