#pragma once
// Reading a corpus once: words are counted and numbered while the text streams by, in parallel, and the numbers are
// turned into final ids at the end.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "word2vec/pages.h"
#include "word2vec/tokens.h"
#include "word2vec/vocabulary.h"

namespace fastrnn {

struct TextSettings {
  int threads = 1;
  size_t max_words = 0;        // prune rare words beyond so many, as gensim does (then one thread); 0: never
  bool keep_ids = true;        // false: count only
  bool lines = true;           // false: newlines are mere white space
  bool as_word2vec_c = false;  // separators
  /// Which words to keep when pruning; without it those with at least `least` occurrences.
  std::function<std::vector<bool>(const WordTable&, uint64_t least)> prune;
};

/// The first bytes of a text that are no UTF-8.
struct InvalidText {
  int64_t offset;
  std::string bytes;  // up to 4
};

/// Called now and then, from the calling thread, with the bytes done; may throw.
using TextReport = std::function<void(int64_t)>;

class TextReader {
 public:
  explicit TextReader(TextSettings settings);

  /// The same without counting: words of a given vocabulary, all others are dropped.
  TextReader(TextSettings settings, const std::vector<std::string>& vocabulary);

  ~TextReader();

  // Text, in any number of pieces of any size; end_file() ends a file, and with it its last line. Offsets of invalid
  // bytes count from the file's start.
  std::optional<InvalidText> read_file(int descriptor, int64_t size, const TextReport& report);
  std::optional<InvalidText> feed(const char* data, size_t size, const TextReport& report);
  std::optional<InvalidText> end_file(const TextReport& report);

  // What was read. From the first of these calls on, nothing more can be read.
  const WordTable& words();
  int64_t total_words() const;
  int64_t line_ends() const;
  bool pruned() const { return pruned_; }  // then there are no ids: read again with the vocabulary given
  /// Lines with words, a longer one counted once for every `longest` words begun.
  int64_t sentences(int64_t longest);

  /// Sentences' offsets into the ids that write_ids then writes. final_ids of each word: the id, -1 drops the word,
  /// -2 also ends the sentence there. Lines are cut every `longest_raw` words (0: never) before words are dropped, and
  /// every `longest` afterwards. Once only.
  std::vector<int64_t> encode(const int32_t* final_ids, size_t num_final, int64_t longest, int64_t longest_raw);
  void write_ids(int32_t* to);

 private:
  // A piece of text in the order of the corpus.
  struct Block {
    PageArray ids;  // of the worker's table
    uint32_t num_words = 0, num_kept = 0;
    int worker = 0;
    std::vector<uint32_t> ends;  // lines end before these words
    std::vector<uint32_t> cuts;  // final: sentences end before these kept words
  };
  struct Source;
  struct Worker;
  struct Region;

  std::optional<InvalidText> read(const Source& source, const TextReport& report);
  void read_block(const Source& source, size_t index, Worker& worker, Region& region);
  void finish();
  void merge();
  template <typename Visit>
  void visit_lines(const Visit& visit) const;
  void renumber(Block& block, const std::vector<int32_t>& final_ids, int64_t* ends, size_t num_ends);

  TextSettings settings_;
  Tokenizer tokenizer_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::optional<WordTable> merged_;  // of several workers; or the given vocabulary
  bool given_ = false, finished_ = false, pruned_ = false, failed_ = false;
  std::vector<std::vector<uint32_t>> to_merged_;  // by worker and its id
  std::vector<Block> blocks_;
  std::string rest_;         // fed, but cut amid a word
  int64_t file_offset_ = 0;  // of rest_ in its file
  uint64_t position_ = 0;    // the same in the whole corpus
};

}  // namespace fastrnn
