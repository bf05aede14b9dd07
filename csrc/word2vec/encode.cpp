// The end of reading a corpus: the tables of all threads become one, and ids become final.

#include <algorithm>
#include <queue>
#include <stdexcept>
#include <utility>

#include "word2vec/text_worker.h"

namespace fastrnn {

void TextReader::finish() {
  if (failed_) throw std::logic_error("reading failed");
  if (!rest_.empty()) throw std::logic_error("end_file() is missing");
  if (!std::exchange(finished_, true) && !given_ && workers_.size() > 1) merge();
}

// A thread meets its words in the order of the text, so merging the threads' lists by the places where the words
// appeared first numbers all words in the order of first appearance, however the blocks were dealt out.
void TextReader::merge() {
  struct List {
    std::vector<uint32_t> slots, to_merged;
    size_t next = 0;
  };
  std::vector<List> lists(workers_.size());
  in_parallel(workers_.size(), [&](size_t i) {
    lists[i].slots = workers_[i]->table->slots_by_id();
    lists[i].to_merged.resize(lists[i].slots.size());
  });
  merged_.emplace();
  using Head = std::pair<uint64_t, size_t>;  // place of first appearance, list
  std::priority_queue<Head, std::vector<Head>, std::greater<Head>> heads;
  for (size_t i = 0; i < lists.size(); ++i)
    if (!lists[i].slots.empty()) heads.push({workers_[i]->first[0], i});
  while (!heads.empty()) {
    const size_t i = heads.top().second;
    heads.pop();
    List& list = lists[i];
    const WordTable& table = *workers_[i]->table;
    const size_t ahead = std::min(list.next + 8, list.slots.size() - 1);
    table.prefetch_slot(list.slots[ahead]);
    merged_->prefetch(table.token(list.slots[std::min(list.next + 4, list.slots.size() - 1)]).hash);
    const uint32_t slot = list.slots[list.next];
    list.to_merged[list.next] = merged_->add(table.token(slot), table.count(slot));
    if (++list.next < list.slots.size()) heads.push({workers_[i]->first[list.next], i});
  }
  for (size_t i = 0; i < lists.size(); ++i) {
    to_merged_.push_back(std::move(lists[i].to_merged));
    workers_[i]->own = WordTable();
    workers_[i]->first = {};
  }
}

const WordTable& TextReader::words() {
  finish();
  return merged_ ? *merged_ : *workers_[0]->table;
}

int64_t TextReader::total_words() const {
  int64_t total = 0;
  for (const auto& worker : workers_) total += int64_t(worker->total_words);
  return total;
}

int64_t TextReader::line_ends() const {
  int64_t total = 0;
  for (const auto& worker : workers_) total += worker->line_ends;
  return total;
}

// visit(begin, end) of every line with words, in words of the corpus.
template <typename Visit>
void TextReader::visit_lines(const Visit& visit) const {
  int64_t block_begin = 0, line_begin = 0;
  for (const Block& block : blocks_) {
    for (const uint32_t end : block.ends) {
      const int64_t line_end = block_begin + end;
      if (line_end > line_begin) visit(line_begin, line_end);
      line_begin = line_end;
    }
    block_begin += block.num_words;
  }
}

int64_t TextReader::sentences(int64_t longest) {
  finish();
  int64_t count = 0;
  visit_lines([&](int64_t begin, int64_t end) { count += (end - begin + longest - 1) / longest; });
  return count;
}

// Puts final ids in place of a block's, closing the gaps; ends, given in raw words of the block, become kept ones.
void TextReader::renumber(Block& block, const std::vector<int32_t>& final_ids, int64_t* ends, size_t num_ends) {
  uint32_t* const ids = block.ids.get();
  uint32_t kept = 0, at = 0;
  for (size_t i = 0; i <= num_ends; ++i) {
    const uint32_t until = i < num_ends ? uint32_t(ends[i]) : block.num_words;
    for (; at < until; ++at) {
      const int32_t id = ids[at] < final_ids.size() ? final_ids[ids[at]] : -1;
      if (id == -2) block.cuts.push_back(kept);
      ids[kept] = uint32_t(id);
      kept += id >= 0;
    }
    if (i < num_ends) ends[i] = kept;
  }
  block.num_kept = kept;
}

std::vector<int64_t> TextReader::encode(const int32_t* final_ids, size_t num_final, int64_t longest,
                                        int64_t longest_raw) {
  finish();
  if (pruned_ || !settings_.keep_ids) throw std::logic_error("no ids were kept");
  if (num_final != words().size()) throw std::invalid_argument("one final id is needed for each word");

  std::vector<int64_t> ends;  // of sentences, in raw words of the corpus
  visit_lines([&](int64_t begin, int64_t end) {
    if (longest_raw > 0)
      for (begin += longest_raw; begin < end; begin += longest_raw) ends.push_back(begin);
    ends.push_back(end);
  });

  std::vector<std::vector<int32_t>> final_of(workers_.size());
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (to_merged_.empty()) {
      if (i == 0) final_of[0].assign(final_ids, final_ids + num_final);
      continue;
    }
    for (const uint32_t id : to_merged_[i]) final_of[i].push_back(final_ids[id]);
  }

  std::vector<size_t> first_end(blocks_.size() + 1);
  int64_t words_before = 0;
  size_t at = 0;
  for (size_t b = 0; b < blocks_.size(); ++b) {
    first_end[b] = at;
    const int64_t words_after = words_before + blocks_[b].num_words;
    for (; at < ends.size() && ends[at] <= words_after; ++at) ends[at] -= words_before;
    words_before = words_after;
  }
  first_end[blocks_.size()] = at;
  std::atomic<size_t> next{0};
  in_parallel(workers_.size(), [&](size_t) {
    for (size_t b; (b = next++) < blocks_.size();)
      renumber(blocks_[b], final_of[to_merged_.empty() ? 0 : size_t(blocks_[b].worker)], ends.data() + first_end[b],
               first_end[b + 1] - first_end[b]);
  });

  std::vector<int64_t> cuts;
  int64_t kept_before = 0;
  for (size_t b = 0; b < blocks_.size(); ++b) {
    for (size_t i = first_end[b]; i < first_end[b + 1]; ++i) ends[i] += kept_before;
    for (const uint32_t cut : blocks_[b].cuts) cuts.push_back(kept_before + cut);
    kept_before += blocks_[b].num_kept;
  }
  if (!cuts.empty()) {
    const auto middle = ends.insert(ends.end(), cuts.begin(), cuts.end());
    std::inplace_merge(ends.begin(), middle, ends.end());
  }
  std::vector<int64_t> offsets{0};
  offsets.reserve(ends.size() + 1);
  for (const int64_t end : ends) {
    while (end - offsets.back() > longest) offsets.push_back(offsets.back() + longest);
    offsets.push_back(end);
  }
  return offsets;
}

void TextReader::write_ids(int32_t* to) {
  std::vector<int64_t> starts;
  int64_t start = 0;
  for (const Block& block : blocks_) {
    starts.push_back(start);
    start += block.num_kept;
  }
  std::atomic<size_t> next{0};
  in_parallel(workers_.size(), [&](size_t) {
    for (size_t b; (b = next++) < blocks_.size();) {
      if (blocks_[b].num_kept != 0) std::memcpy(to + starts[b], blocks_[b].ids.get(), 4 * size_t(blocks_[b].num_kept));
      blocks_[b].ids.reset();
      blocks_[b].num_kept = 0;
    }
  });
}

}  // namespace fastrnn
