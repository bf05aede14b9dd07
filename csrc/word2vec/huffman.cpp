#include "word2vec/huffman.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace fastrnn {
namespace {

constexpr uint64_t largest_total = std::numeric_limits<int64_t>::max();

void check(const int64_t* counts, int64_t num_words) {
  if (num_words < 1) throw std::invalid_argument("counts is empty: a tree needs at least one word");
  if (num_words > std::numeric_limits<int32_t>::max())
    throw std::invalid_argument("a tree holds at most 2147483647 words");
  if (std::any_of(counts, counts + num_words, [](int64_t count) { return count < 0; }))
    throw std::invalid_argument("counts must not be negative");
}

std::vector<int32_t> descending_order(const int64_t* counts, int64_t num_words, bool first_stays) {
  std::vector<int32_t> order(static_cast<size_t>(num_words));
  std::iota(order.begin(), order.end(), 0);
  const auto more = [counts](int32_t a, int32_t b) { return counts[a] > counts[b]; };
  const auto begin = order.begin() + (first_stays ? 1 : 0);
  if (!std::is_sorted(begin, order.end(), more)) std::stable_sort(begin, order.end(), more);
  return order;
}

bool total_fits(const std::vector<uint64_t>& counts) {
  uint64_t total = 0;
  for (const uint64_t count : counts) {
    total += count;  // both are below 2^63, so this sum cannot wrap
    if (total > largest_total) return false;
  }
  return true;
}

void halve(std::vector<uint64_t>& counts) {
  // Zeros too become 1: of zeros alone, the rule for ties makes a chain.
  for (uint64_t& count : counts) count = std::max<uint64_t>(1, count / 2 + count % 2);
}

/// Of every item (words in descending order, then inner nodes as created) its parent, as a creation number, and turn.
struct Merged {
  std::vector<int32_t> parent;
  std::vector<uint8_t> turn;
};

Merged merge(const std::vector<uint64_t>& counts) {
  const int64_t num_words = static_cast<int64_t>(counts.size()), num_nodes = num_words - 1;
  std::vector<uint64_t> node_counts(static_cast<size_t>(num_nodes));
  Merged merged;
  merged.parent.resize(static_cast<size_t>(num_words + num_nodes));
  merged.turn.resize(static_cast<size_t>(num_words + num_nodes));
  int64_t word = num_words - 1, node = 0;
  for (int64_t created = 0; created < num_nodes; ++created) {
    const auto pick = [&](uint8_t turn) {
      const bool from_words = word >= 0 && (node == created || counts[size_t(word)] < node_counts[size_t(node)]);
      const size_t item = from_words ? size_t(word) : size_t(num_words + node);
      merged.parent[item] = static_cast<int32_t>(created);
      merged.turn[item] = turn;
      return from_words ? counts[size_t(word--)] : node_counts[size_t(node++)];
    };
    const uint64_t first = pick(0);
    node_counts[size_t(created)] = first + pick(1);
  }
  return merged;
}

/// Turns from the root to each inner node: parents are created after their children.
std::vector<int32_t> node_depths(const Merged& merged, int64_t num_words) {
  std::vector<int32_t> depths(static_cast<size_t>(num_words - 1));
  for (int64_t n = num_words - 3; n >= 0; --n)
    depths[size_t(n)] = depths[size_t(merged.parent[size_t(num_words + n)])] + 1;
  return depths;
}

HuffmanTree lay_out(const Merged& merged, const std::vector<int32_t>& depths, const std::vector<int32_t>& order) {
  const int64_t num_words = static_cast<int64_t>(order.size());
  HuffmanTree tree;
  tree.path_offsets.resize(size_t(num_words) + 1);
  tree.codes.resize(size_t(num_words));
  for (int64_t i = 0; i < num_words; ++i)
    tree.path_offsets[size_t(order[size_t(i)]) + 1] = depths[size_t(merged.parent[size_t(i)])] + 1;
  std::partial_sum(tree.path_offsets.begin(), tree.path_offsets.end(), tree.path_offsets.begin());
  tree.path_rows.resize(size_t(tree.path_offsets.back()));
  for (int64_t i = 0; i < num_words; ++i) {
    const size_t word = size_t(order[size_t(i)]);
    int64_t end = tree.path_offsets[word + 1];
    uint64_t code = 0;
    for (size_t item = size_t(i); end > tree.path_offsets[word];) {
      const int32_t node = merged.parent[item];
      code = code << 1 | merged.turn[item];
      tree.path_rows[size_t(--end)] = static_cast<int32_t>(num_words - 1 - node);
      item = size_t(num_words + node);
    }
    tree.codes[word] = code;
  }
  return tree;
}

}  // namespace

HuffmanTree huffman_tree(const int64_t* counts, int64_t num_words, bool first_stays) {
  check(counts, num_words);
  if (num_words == 1) return {{0, 0}, {}, {0}};
  const std::vector<int32_t> order = descending_order(counts, num_words, first_stays);
  std::vector<uint64_t> ordered(order.size());
  std::transform(order.begin(), order.end(), ordered.begin(),
                 [counts](int32_t word) { return uint64_t(counts[word]); });
  while (!total_fits(ordered)) halve(ordered);
  for (;; halve(ordered)) {
    const Merged merged = merge(ordered);
    const std::vector<int32_t> depths = node_depths(merged, num_words);
    if (*std::max_element(depths.begin(), depths.end()) < max_turns) return lay_out(merged, depths, order);
  }
}

}  // namespace fastrnn
