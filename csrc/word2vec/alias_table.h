#pragma once
// Drawing words by weight with one table look-up.

#include <cstdint>
#include <vector>

namespace fastrnn {

/// A draw takes a column uniformly and 32 random bits: below thresholds[column] it is the column, else
/// index[column].
struct AliasTable {
  std::vector<uint32_t> thresholds;
  std::vector<int32_t> index;
};

/// Vose's method ("A linear algorithm for generating random numbers with a given distribution", IEEE Trans. Software
/// Eng. 17, 1991) on integer masses that sum to 2^32 times the number of words, so that nothing is lost on the way:
/// a word's probability is right to a few times 2^-32 / num_words, and that of weight 0 is 0.
AliasTable alias_table(const double* weights, int64_t num_words);

}  // namespace fastrnn
