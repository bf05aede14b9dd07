#pragma once
// Huffman tree over word counts, as hierarchical softmax walks it.

#include <cstdint>
#include <vector>

namespace fastrnn {

/// The path of word w is path_rows[path_offsets[w] .. path_offsets[w + 1]), root first; bit k of codes[w] is the turn
/// taken at its k-th node. Rows count from the root down: the node created n-th has row V - 1 - n, so the root has
/// row 1 and row 0 stays free.
struct HuffmanTree {
  std::vector<int64_t> path_offsets;
  std::vector<int32_t> path_rows;
  std::vector<uint64_t> codes;
};

constexpr int max_turns = 64;

/// The tree of word2vec.c (Mikolov et al. 2013): two queues are merged, an inner node goes before a word of the same
/// count, and the second one picked gets turn 1. Counts are taken in descending order, equal ones as they come; with
/// first_stays word 0 stays in front whatever its count, as word2vec.c keeps `</s>`.
/// Counts are halved (rounding up, at least 1) while their total passes 2^63 - 1 or a path has more than 64 turns.
HuffmanTree huffman_tree(const int64_t* counts, int64_t num_words, bool first_stays);

}  // namespace fastrnn
