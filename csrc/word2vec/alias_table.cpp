#include "word2vec/alias_table.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace fastrnn {
namespace {

constexpr uint64_t column = uint64_t(1) << 32;

double check(const double* weights, int64_t num_words) {
  if (num_words < 1) throw std::invalid_argument("weights is empty: there is nothing to draw");
  if (num_words > std::numeric_limits<int32_t>::max())
    throw std::invalid_argument("a table holds at most 2147483647 words");
  double largest = 0;
  for (int64_t i = 0; i < num_words; ++i) {
    if (!std::isfinite(weights[i]) || weights[i] < 0)
      throw std::invalid_argument("weights must be finite and not negative");
    largest = std::max(largest, weights[i]);
  }
  if (largest == 0) throw std::invalid_argument("weights must not all be zero");
  return largest;
}

/// Neumaier's compensated sum of weights / largest, which cannot overflow.
double relative_total(const double* weights, int64_t num_words, double largest) {
  double sum = 0, lost = 0;
  for (int64_t i = 0; i < num_words; ++i) {
    const double x = weights[i] / largest, next = sum + x;
    lost += sum >= x ? (sum - next) + x : (x - next) + sum;
    sum = next;
  }
  return sum + lost;
}

/// The weights as integers whose sum is num_words columns.
std::vector<uint64_t> masses(const double* weights, int64_t num_words) {
  const double largest = check(weights, num_words);
  const double scale = double(num_words) * double(column) / relative_total(weights, num_words, largest);
  std::vector<uint64_t> mass(static_cast<size_t>(num_words));
  int64_t missing = num_words << 32;
  for (int64_t i = 0; i < num_words; ++i) {
    mass[size_t(i)] = static_cast<uint64_t>(weights[i] / largest * scale);
    missing -= static_cast<int64_t>(mass[size_t(i)]);
  }
  // What rounding left over, at most about one unit a word, goes to the first words that can be drawn.
  while (missing != 0) {
    for (int64_t i = 0; i < num_words && missing != 0; ++i) {
      if (weights[i] == 0 || (missing < 0 && mass[size_t(i)] == 0)) continue;
      if (missing > 0)
        ++mass[size_t(i)], --missing;
      else
        --mass[size_t(i)], ++missing;
    }
  }
  return mass;
}

}  // namespace

AliasTable alias_table(const double* weights, int64_t num_words) {
  std::vector<uint64_t> mass = masses(weights, num_words);
  // Columns not full yet, from the front, and overfull ones, from the back.
  std::vector<int32_t> work(mass.size());
  size_t under = 0, over = work.size();
  for (size_t i = 0; i < mass.size(); ++i) {
    if (mass[i] < column)
      work[under++] = int32_t(i);
    else
      work[--over] = int32_t(i);
  }
  AliasTable table{std::vector<uint32_t>(mass.size()), std::vector<int32_t>(mass.size())};
  while (under > 0) {
    // The masses still at work fill their columns exactly, so beside one not full there is one overfull.
    const size_t poor = size_t(work[--under]), rich = size_t(work[over]);
    table.thresholds[poor] = static_cast<uint32_t>(mass[poor]);
    table.index[poor] = static_cast<int32_t>(rich);
    mass[rich] -= column - mass[poor];
    if (mass[rich] < column) {
      ++over;
      work[under++] = static_cast<int32_t>(rich);
    }
  }
  for (; over < work.size(); ++over) {
    const size_t full = size_t(work[over]);
    table.thresholds[full] = std::numeric_limits<uint32_t>::max();
    table.index[full] = static_cast<int32_t>(full);
  }
  return table;
}

}  // namespace fastrnn
