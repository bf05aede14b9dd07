#pragma once
// What a training run is told, and the memory it works on. All arrays belong to the caller and outlive the run.

#include <stdint.h>

namespace fastrnn {
namespace word2vec {

constexpr int kMaxTurns = 64;  // of a path: its turns are the bits of one word
constexpr int kSigmoidEntries = 1000;

/// Hot rows are merged in tiers, the hottest most often: rows [kTierEnds[t - 1], kTierEnds[t]).
constexpr int kTiers = 3;
constexpr int kTargetRing = 4;  // centers whose negative samples are held: those at work and those to come
constexpr int32_t kTierEnds[kTiers] = {32, 256, INT32_MAX};

/// Where sentences begin and end; narrow unless there are 2^31 words.
struct Offsets {
  const int64_t* wide = nullptr;
  const int32_t* narrow = nullptr;
  int64_t operator[](int64_t i) const { return narrow ? narrow[i] : wide[i]; }
};

constexpr int kTurnsBits = 7;
/// An entry of Settings::paths.
constexpr uint64_t packed_path(int64_t begin, int64_t turns) { return uint64_t(begin) << kTurnsBits | uint64_t(turns); }

struct Settings {
  // [vocab, stride] each, rows 64-byte aligned and padded with zeros; the outputs that are not trained are null.
  float* vectors = nullptr;           // row: word
  float* node_vectors = nullptr;      // row: node of the tree, the most visited first
  float* negative_vectors = nullptr;  // row: word
  int64_t vocab = 0;
  int vector_size = 0, stride = 0;

  const int32_t* ids = nullptr;  // the corpus
  Offsets offsets;               // [num_sentences + 1], into ids
  int64_t num_sentences = 0;

  const uint32_t* keep = nullptr;  // [vocab]: a token stays if its draw is at most this; null: all stay

  const uint64_t* paths = nullptr;     // [vocab]: where in path_rows a word's begin, and how many; words may share them
  const int32_t* path_rows = nullptr;  // rows of node_vectors from the root on
  const uint64_t* codes = nullptr;     // [vocab]: bit k is the turn at the k-th node

  const uint32_t* alias_threshold = nullptr;  // [vocab]
  const int32_t* alias_index = nullptr;
  int negative = 0;

  const float* vectors_lockf = nullptr;  // [vocab]: factor on the updates of a word's vector; null: 1
  bool train_outputs = true;

  int window = 5;
  bool shrink_windows = true;
  bool skip_gram = false;
  bool mean = true;                      // CBOW: the mean of the context, not its sum
  bool divide = false;                   // CBOW: each context word gets its share of the gradient, not the whole
  const float* sigmoid_table = nullptr;  // word2vec.c's, of kSigmoidEntries; null: exact
  bool skip_saturated_negatives = false;
  bool strict = false;  // one pair after another, as word2vec.c
  bool loss = false;
  int max_kept = 10000;  // words of a sentence piece
  uint64_t seed = 1;

  int64_t path_begin(int32_t word) const { return int64_t(paths[word] >> kTurnsBits); }
  int turns(int32_t word) const { return int(paths[word] & ((1 << kTurnsBits) - 1)); }
  bool hierarchical() const { return node_vectors != nullptr; }
  int max_rows() const { return negative + 1 > kMaxTurns ? negative + 1 : kMaxTurns; }
};

/// Where the words of one thread's rows live.
struct Rows {
  float* shared;  // the matrix that all threads see
  // Threads of a fast run keep copies of the first `hot` rows, merged into the shared ones now and then.
  float* copy = nullptr;
  float* base = nullptr;  // the shared rows when they were last copied
  int32_t hot = 0;
  int64_t interval[kTiers], left[kTiers];  // words between merges of a tier, and until the next
};

struct Counts {
  int64_t words = 0;  // in the vocabulary, before subsampling
  int64_t kept = 0;
  int64_t pairs = 0;  // what was trained: centers (CBOW) or center and context (skip-gram)
  double loss = 0;    // in nats
};

/// One thread's memory. On cache lines of its own: its counters change with every word, and sharing a line with another
/// thread's pointers costs up to half the speed.
struct alignas(128) Worker {
  Rows inputs, nodes, negatives;
  int32_t* kept_words;  // [max_kept]
  uint64_t* kept_draws;
  float* input_sum;     // [stride]
  float* errors;        // [window tile, stride]
  float* coefficients;  // [window tile, max_rows rounded up to a register]
  const float** pointers;
  int32_t* targets;                    // negative samples of kTargetRing centers
  float* frozen;                       // [max_rows, stride]: copies of outputs that are not to be trained
  int64_t until_merge = 0, slept = 0;  // words until some tier is due, and since `left` was brought up to date
  Counts counts;
};

}  // namespace word2vec
}  // namespace fastrnn
