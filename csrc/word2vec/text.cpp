#include "word2vec/text.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <system_error>

#if !defined(_WIN32)
#include <unistd.h>
#endif

#include "word2vec/text_worker.h"

namespace fastrnn {
namespace {

constexpr size_t block_bytes = size_t(1) << 18;  // with the ids of its words within a core's cache

void read_at(int descriptor, char* to, size_t size, int64_t offset) {
#if defined(_WIN32)
  (void)descriptor, (void)to, (void)size, (void)offset;
  throw std::system_error(ENOSYS, std::generic_category());  // Python feeds blocks there
#else
  size_t done = 0;
  while (done < size) {
    const ssize_t got = pread(descriptor, to + done, size - done, off_t(offset + int64_t(done)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw std::system_error(errno, std::generic_category());
    if (got == 0) throw std::runtime_error("the file became shorter while it was read");
    done += size_t(got);
  }
#endif
}

}  // namespace

struct TextReader::Source {
  const char* data;  // nullptr: a file
  int descriptor;
  int64_t size;

  void read(int64_t offset, size_t count, char* to) const {
    if (data != nullptr) {
      std::memcpy(to, data + offset, count);
    } else {
      read_at(descriptor, to, count, offset);
    }
  }
};

// What the workers of one call share.
struct TextReader::Region {
  size_t first_block, num_blocks;
  uint64_t position;  // of its text in the corpus
  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::optional<InvalidText> invalid;

  // Blocks are handed out in order, so whatever lies before this one is being read and will report too.
  void fail(int64_t offset, std::string bytes) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (!invalid || offset < invalid->offset) invalid = InvalidText{offset, std::move(bytes)};
    stop = true;
  }
};

TextReader::~TextReader() {
  if (position_ < uint64_t(4) << 20) return;
  workers_.clear();
  merged_.reset();
  to_merged_ = std::vector<std::vector<uint32_t>>();
  blocks_ = std::vector<Block>();
  return_free_memory();
}

TextReader::TextReader(TextSettings settings) : settings_(std::move(settings)), tokenizer_(settings_.as_word2vec_c) {
  if (settings_.max_words != 0) settings_.threads = 1;
  for (int i = 0; i < settings_.threads; ++i) workers_.push_back(std::make_unique<Worker>(*this, i, false));
}

TextReader::TextReader(TextSettings settings, const std::vector<std::string>& vocabulary)
    : settings_(std::move(settings)), tokenizer_(settings_.as_word2vec_c), merged_(WordTable()), given_(true) {
  for (const std::string& word : vocabulary)
    if (!word.empty()) merged_->add(Token::of(word), 0);
  if (merged_->size() != vocabulary.size()) throw std::invalid_argument("a word occurs twice in the vocabulary");
  settings_.max_words = 0;
  for (int i = 0; i < settings_.threads; ++i) {
    workers_.push_back(std::make_unique<Worker>(*this, i, true));
    workers_.back()->table = &*merged_;
  }
}

// A block's text begins behind the first separator at or after the byte before its first one, which is also where the
// text of the block before it ends. A word longer than a block leaves some blocks empty.
void TextReader::read_block(const Source& source, size_t index, Worker& w, Region& region) {
  const int64_t begin = int64_t(index * block_bytes), end = std::min(source.size, begin + int64_t(block_bytes));
  const int64_t from = std::max<int64_t>(0, begin - 1);
  size_t have = 0;
  const auto fetch = [&](int64_t until) {
    const size_t want = size_t(std::min(until, source.size) - from);
    if (w.buffer.size() < want + Tokenizer::padding) w.buffer.resize(want + Tokenizer::padding);
    source.read(from + int64_t(have), want - have, w.buffer.data() + have);
    have = want;
  };
  fetch(end + 256);

  size_t start = 0, stop = size_t(end - from);
  if (index != 0) {
    while (start + 1 < stop && !tokenizer_.separates(w.buffer[start])) ++start;
    if (++start >= stop) return;
  }
  if (end < source.size) {
    for (--stop; stop < have && !tokenizer_.separates(w.buffer[stop]);)
      if (++stop == have) fetch(from + 2 * int64_t(have));
    stop = std::min(stop + 1, have);
  }
  // What comes next in the buffer belongs to the next block, which reads it anew.
  if (w.buffer.size() < stop + Tokenizer::padding) w.buffer.resize(stop + Tokenizer::padding);
  std::memset(w.buffer.data() + stop, ' ', Tokenizer::padding);

  w.begin(w.buffer.data() + start, stop - start, region.position + uint64_t(from) + start);
  if (const char* bad = tokenizer_.run(w.buffer.data() + start, w.buffer.data() + stop, w)) {
    const size_t at = size_t(bad - w.buffer.data());
    region.fail(from + int64_t(at), std::string(bad, std::min<size_t>(4, stop - at)));
    return;
  }
  w.look_up();
  w.total_words += w.num_ids;

  Block& block = blocks_[region.first_block + index];
  block.worker = w.index;
  block.num_words = uint32_t(w.num_ids);
  block.ends = w.ends;
  if (settings_.keep_ids && !pruned_ && w.num_ids != 0) {
    block.ids = make_page_array(w.num_ids);
    std::memcpy(block.ids.get(), w.ids.data(), w.num_ids * sizeof(uint32_t));
  }
}

std::optional<InvalidText> TextReader::read(const Source& source, const TextReport& report) {
  if (finished_ || failed_) throw std::logic_error("the reader has finished");
  Region region;
  region.first_block = blocks_.size();
  region.num_blocks = (size_t(source.size) + block_bytes - 1) / block_bytes;
  region.position = position_;
  blocks_.resize(blocks_.size() + region.num_blocks);
  auto next_report = std::chrono::steady_clock::now();
  failed_ = true;  // unless this comes to its end
  in_parallel(std::min(workers_.size(), region.num_blocks), [&](size_t thread) {
    try {
      while (!region.stop) {
        const size_t index = region.next++;
        if (index >= region.num_blocks) break;
        read_block(source, index, *workers_[thread], region);
        if (thread != 0 || std::chrono::steady_clock::now() < next_report) continue;
        report(std::min(source.size, int64_t((index + 1) * block_bytes)));
        next_report = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
      }
    } catch (...) {
      region.stop = true;
      throw;
    }
  });
  failed_ = region.invalid.has_value();
  position_ += uint64_t(source.size);
  return region.invalid;
}

std::optional<InvalidText> TextReader::read_file(int descriptor, int64_t size, const TextReport& report) {
  if (!rest_.empty()) throw std::logic_error("end_file() is missing");
  auto invalid = read({nullptr, descriptor, size}, report);
  file_offset_ += size;
  return invalid;
}

std::optional<InvalidText> TextReader::feed(const char* data, size_t size, const TextReport& report) {
  if (finished_ || failed_) throw std::logic_error("the reader has finished");
  size_t cut = size;
  while (cut != 0 && !tokenizer_.separates(data[cut - 1])) --cut;
  if (cut == 0) {
    rest_.append(data, size);
    return std::nullopt;
  }
  std::optional<InvalidText> invalid;
  if (rest_.empty()) {
    invalid = read({data, -1, int64_t(cut)}, report);
    if (!invalid) file_offset_ += int64_t(cut);
  } else {  // up to the first separator beside what was left
    size_t first = 0;
    while (!tokenizer_.separates(data[first])) ++first;
    rest_.append(data, first + 1);
    invalid = read({rest_.data(), -1, int64_t(rest_.size())}, report);
    if (!invalid) {
      file_offset_ += int64_t(rest_.size());
      rest_.clear();
      if (cut > first + 1) invalid = read({data + first + 1, -1, int64_t(cut - first - 1)}, report);
      if (!invalid) file_offset_ += int64_t(cut - first - 1);
    }
  }
  if (invalid) {
    invalid->offset += file_offset_;
  } else {
    rest_.assign(data + cut, size - cut);
  }
  return invalid;
}

std::optional<InvalidText> TextReader::end_file(const TextReport& report) {
  std::optional<InvalidText> invalid;
  if (!rest_.empty()) invalid = read({rest_.data(), -1, int64_t(rest_.size())}, report);
  if (finished_ || failed_) {
    if (invalid) invalid->offset += file_offset_;
    return invalid;
  }
  rest_.clear();
  file_offset_ = 0;
  Worker& w = *workers_[0];
  if (settings_.max_words != 0 && w.line_words != 0) w.end_sentence();
  blocks_.emplace_back();
  blocks_.back().ends.push_back(0);
  return std::nullopt;
}

}  // namespace fastrnn
