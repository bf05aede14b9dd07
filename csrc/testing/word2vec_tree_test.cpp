// Huffman trees and alias tables against their definitions.

#include <math.h>

#include <algorithm>
#include <functional>
#include <queue>
#include <vector>

#include "testing/check.h"
#include "testing/word2vec_problem.h"
#include "testing/word2vec_tests.h"

namespace fastrnn {
namespace testing {
namespace {

/// Every inner node has two children, the root is row 1, and each path ends in a leaf of its own.
bool is_full_binary_tree(const HuffmanTree& tree, int64_t vocab) {
  constexpr int64_t kNone = 0;
  std::vector<int64_t> children(size_t(2 * vocab), kNone);  // of each row; leaves are negative
  for (int64_t word = 0; word < vocab; ++word) {
    const int64_t begin = tree.path_offsets[size_t(word)], end = tree.path_offsets[size_t(word) + 1];
    if (end - begin < 1 || end - begin > max_turns || tree.path_rows[size_t(begin)] != 1) return false;
    for (int64_t k = begin; k < end; ++k) {
      const int64_t row = tree.path_rows[size_t(k)], turn = int64_t(tree.codes[size_t(word)] >> (k - begin) & 1);
      if (row < 1 || row >= vocab) return false;
      const int64_t child = k + 1 < end ? tree.path_rows[size_t(k) + 1] : -1 - word;
      if (child > 0 && child <= row) return false;  // rows count from the root down
      int64_t& known = children[size_t(2 * row + turn)];
      if (known != kNone && known != child) return false;
      known = child;
    }
    if (end - begin < 64 && tree.codes[size_t(word)] >> (end - begin)) return false;
  }
  std::sort(children.begin() + 2, children.end());
  return std::count(children.begin() + 2, children.end(), kNone) == 0 &&
         std::adjacent_find(children.begin() + 2, children.end()) == children.end();
}

/// Turns of all words' occurrences together.
double cost(const HuffmanTree& tree, const std::vector<int64_t>& counts) {
  double sum = 0;
  for (size_t i = 0; i < counts.size(); ++i)
    sum += double(counts[i]) * double(tree.path_offsets[i + 1] - tree.path_offsets[i]);
  return sum;
}

double least_cost(const std::vector<int64_t>& counts) {
  std::priority_queue<double, std::vector<double>, std::greater<double>> heap(counts.begin(), counts.end());
  double sum = 0;
  while (heap.size() > 1) {
    const double first = heap.top();
    heap.pop();
    const double both = first + heap.top();
    heap.pop();
    heap.push(both);
    sum += both;
  }
  return sum;
}

void test_tree(const std::string& name, const std::vector<int64_t>& counts, bool first_stays, bool deep) {
  const HuffmanTree tree = huffman_tree(counts.data(), int64_t(counts.size()), first_stays);
  check(is_full_binary_tree(tree, int64_t(counts.size())), name + ": no full binary tree");
  if (deep) return;
  // Counts below 2^53 are summed exactly.
  if (!first_stays) check(cost(tree, counts) == least_cost(counts), name + ": not the shortest code");
  bool ordered = true;
  for (size_t i = first_stays ? 1 : 0; i + 1 < counts.size(); ++i) {
    const int64_t turns = tree.path_offsets[i + 1] - tree.path_offsets[i];
    const int64_t next = tree.path_offsets[i + 2] - tree.path_offsets[i + 1];
    if (counts[i] != counts[i + 1]) ordered = ordered && (counts[i] > counts[i + 1] ? turns <= next : turns >= next);
  }
  check(ordered, name + ": a rarer word has a shorter path");
}

/// What a table gives each word, in units of 2^-32 columns.
std::vector<uint64_t> masses(const AliasTable& table) {
  std::vector<uint64_t> mass(table.index.size());
  for (size_t i = 0; i < mass.size(); ++i) {
    mass[i] += table.thresholds[i];
    mass[size_t(table.index[i])] += (uint64_t(1) << 32) - table.thresholds[i];
  }
  return mass;
}

void test_alias_table(const std::string& name, const std::vector<double>& weights) {
  const AliasTable table = alias_table(weights.data(), int64_t(weights.size()));
  bool inside = table.thresholds.size() == weights.size() && table.index.size() == weights.size();
  for (const int32_t index : table.index) inside = inside && index >= 0 && size_t(index) < weights.size();
  check(inside, name + ": an index outside");
  if (!inside) return;
  const std::vector<uint64_t> mass = masses(table);
  double total = 0;
  for (const double weight : weights) total += weight;
  bool right = true;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double exact = weights[i] / total * double(weights.size()) * 0x1p32;
    right = right && (weights[i] == 0 ? mass[i] == 0 : fabs(double(mass[i]) - exact) <= 4 + 1e-12 * exact);
  }
  check(right, name + ": a word's mass");
}

}  // namespace

void test_trees() {
  Numbers numbers(1);
  for (const int64_t vocab : {2, 3, 4, 5, 17, 64, 1000}) {
    const std::string name = "tree of " + std::to_string(vocab) + " words";
    std::vector<int64_t> equal(size_t(vocab), 7), zeros(size_t(vocab), 0), random, zipf;
    for (int64_t i = 0; i < vocab; ++i) {
      random.push_back(1 + numbers.below(100));
      zipf.push_back(1000000 / (i + 1));
    }
    for (const bool first_stays : {false, true}) {
      test_tree(name + ", equal counts", equal, first_stays, false);
      test_tree(name + ", random counts", random, first_stays, false);
      test_tree(name + ", Zipf's law", zipf, first_stays, false);
    }
    test_tree(name + ", zeros", zeros, false, vocab > 64);
  }
  std::vector<int64_t> fibonacci{1, 1};
  while (fibonacci.size() < 85) fibonacci.push_back(fibonacci.back() + fibonacci[fibonacci.size() - 2]);
  test_tree("tree of Fibonacci's numbers", fibonacci, false, true);
  test_tree("tree of the largest counts", std::vector<int64_t>(5, INT64_MAX), false, true);
  const int64_t one = 5;
  const HuffmanTree tree = huffman_tree(&one, 1, false);
  check(tree.path_rows.empty() && tree.path_offsets == std::vector<int64_t>{0, 0}, "tree of one word");
}

void test_alias_tables() {
  Numbers numbers(2);
  for (const int vocab : {1, 2, 3, 10, 1000}) {
    const std::string name = "alias table of " + std::to_string(vocab) + " words";
    std::vector<double> random, skewed, holes;
    for (int i = 0; i < vocab; ++i) {
      random.push_back(numbers.uniform() + 1e-3);
      skewed.push_back(pow(0.5, double(i)));
      holes.push_back(i % 3 == 0 ? numbers.uniform() + 1e-3 : 0);
    }
    test_alias_table(name + ", random", random);
    test_alias_table(name + ", halves", skewed);
    test_alias_table(name + ", zeros between", holes);
    test_alias_table(name + ", equal", std::vector<double>(size_t(vocab), 0.1));
  }
}

}  // namespace testing
}  // namespace fastrnn
