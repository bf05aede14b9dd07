#include "testing/cuda_emulation.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define FASTRNN_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FASTRNN_ASAN 1
#endif
#endif
#ifdef FASTRNN_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace fastrnn {
namespace emulation {
namespace {

constexpr int kWarp = 32;
constexpr size_t kStackBytes = 256 << 10;  // of address space; pages are there once they are touched

/// A stack with a page below it that must not be touched. Stacks are kept for later threads.
class Stack {
 public:
  static Stack take() {
    if (spare().empty()) return Stack();
    Stack stack = std::move(spare().back());
    spare().pop_back();
#ifdef FASTRNN_ASAN
    ASAN_UNPOISON_MEMORY_REGION(stack.data(), size());  // the last frames of its thread were never left
#endif
    return stack;
  }
  static void give_back(Stack stack) {
    if (spare().size() < 4096) spare().push_back(std::move(stack));
  }

  Stack(Stack&& other) noexcept : base_(std::exchange(other.base_, nullptr)) {}
  Stack& operator=(Stack&& other) noexcept {
    std::swap(base_, other.base_);
    return *this;
  }
  ~Stack() {
    if (base_) munmap(base_, kStackBytes);
  }
  char* data() const { return base_ + kGuardBytes; }
  static constexpr size_t size() { return kStackBytes - kGuardBytes; }

 private:
  static constexpr size_t kGuardBytes = 4096;

  Stack() {
    void* memory =
        mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<char*>(memory);
    mprotect(base_, kGuardBytes, PROT_NONE);
  }
  static std::vector<Stack>& spare() {
    static thread_local std::vector<Stack> stacks;
    return stacks;
  }

  char* base_;
};

struct Block;

enum class State { kReady, kWaiting, kDone };

struct Thread {
  Thread(Block* of, int number) : block(of), index(number), stack(Stack::take()) {}
  ~Thread() { Stack::give_back(std::move(stack)); }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  Block* block;
  int index;
  State state = State::kReady;
  bool polling = false;  // since it last ran, it has only found that it has to wait on
  bool verdict = true;   // of the last barrier that it came to
  const char* waits_for = "";
  const void* given = nullptr;  // to the warp's exchange
  int bytes = 0;
  void* taken = nullptr;
  ucontext_t context;
  Stack stack;
  void* fake_stack = nullptr;  // AddressSanitizer's
};

/// Threads that have come to a place where all must.
struct Barrier {
  std::vector<Thread*> here;
  bool agreed = true;  // all of them, so far
};

struct Cluster;

/// An array of exactly the size that was asked for, so that what lies past it is not ours.
struct FreeMemory {
  void operator()(char* p) const { free(p); }
};

struct Block {
  Block(Cluster* of, int number, int place, int shared_bytes) : cluster(of), index(number), rank(place) {
    const size_t bytes = (size_t(shared_bytes) + 15) / 16 * 16;
    shared.reset(bytes ? static_cast<char*>(aligned_alloc(16, bytes)) : nullptr);
    if (bytes) memset(shared.get(), 0xFF, bytes);  // NaN in every floating-point type
  }
  Cluster* cluster;
  int index, rank;
  std::unique_ptr<char, FreeMemory> shared;
  Barrier barrier;
  std::vector<Barrier> warps;
  int left = 0;  // threads that are done
};

struct Cluster {
  std::vector<std::unique_ptr<Block>> blocks;
  Barrier barrier;
  int left = 0;
};

class Scheduler {
 public:
  Scheduler(const LaunchShape& shape, const std::function<void()>& body)
      : shape_(shape), body_(body), random_(settings().seed * 0x9E3779B97F4A7C15u + 1) {}

  void run() {
    check();
    std::vector<int> order(size_t(shape_.blocks / shape_.cluster));
    for (size_t i = 0; i < order.size(); ++i) order[i] = int(i);
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[draw(i)]);
    // Blocks that must not wait for one another run after one another.
    const size_t together = shape_.cooperative ? order.size() : 1;
    for (size_t i = 0; i < order.size(); i += together) run_clusters(&order[i], std::min(together, order.size() - i));
  }

  // -- called by threads --

  /// Returns whether all vote for it.
  bool meet(Barrier& barrier, size_t all, int left, const char* what, bool vote = true) {
    if (left > 0) fail("a thread has left, and others wait at ", what);
    Thread* const me = current_;
    me->waits_for = what;
    barrier.here.push_back(me);
    barrier.agreed = barrier.agreed && vote;
    if (barrier.here.size() < all) {
      me->state = State::kWaiting;
      leave();
      return me->verdict;
    }
    for (Thread* thread : barrier.here) {
      thread->verdict = barrier.agreed;
      wake(thread);
    }
    barrier.here.clear();
    barrier.agreed = true;
    progress();
    yield();  // those that waited may go first
    return me->verdict;
  }

  void exchange(const void* in, int bytes, void* all) {
    Thread* const me = current_;
    Block& block = *me->block;
    Barrier& warp = block.warps[size_t(me->index / kWarp)];
    me->given = in;
    me->bytes = bytes;
    me->taken = all;
    me->waits_for = "its warp";
    if (!warp.here.empty() && warp.here[0]->bytes != bytes) return fail("lanes of a warp are at different exchanges");
    warp.here.push_back(me);
    const int lanes = std::min(kWarp, shape_.threads - me->index / kWarp * kWarp);
    if (int(warp.here.size()) < lanes) {
      me->state = State::kWaiting;
      leave();
      return;
    }
    for (Thread* to : warp.here) {
      for (Thread* from : warp.here)
        memcpy(static_cast<char*>(to->taken) + from->index % kWarp * bytes, from->given, size_t(bytes));
      wake(to);
    }
    warp.here.clear();
    progress();
  }

  void poll() {
    current_->polling = true;
    current_->waits_for = "another thread's write";
    yield();
  }

  void progress() { idle_turns_ = 0; }
  uint64_t turns() const { return turns_; }

  void maybe_yield() {
    if (draw(4) == 0) yield();
  }

  [[noreturn]] void fail(const char* what, const char* detail = "") {  // no string: it would stay on the stack
    if (error_.empty()) {
      const Thread& me = *current_;
      error_ = "block " + std::to_string(me.block->index) + ", thread " + std::to_string(me.index) + ": ";
      error_ += what;
      error_ += detail;
    }
    current_->state = State::kDone;
    leave();
    abort();  // never resumed
  }

  Thread* current() const { return current_; }
  const LaunchShape& shape() const { return shape_; }

 private:
  void check() const {
    const Settings& machine = settings();
    if (shape_.blocks < 1 || shape_.threads < 1 || shape_.threads > 1024) throw Error("invalid configuration argument");
    if (shape_.cluster < 1 || shape_.blocks % shape_.cluster) throw Error("blocks are no multiple of the cluster");
    if (shape_.shared_bytes > machine.shared_per_block) throw Refused("too much shared memory");
    if (shape_.cooperative && shape_.blocks > machine.resident_blocks)
      throw Refused("too many blocks in cooperative launch");
  }

  void run_clusters(const int* numbers, size_t count) {
    std::vector<std::unique_ptr<Cluster>> clusters;
    std::vector<std::unique_ptr<Thread>> threads;
    for (size_t i = 0; i < count; ++i) {
      clusters.push_back(std::make_unique<Cluster>());
      for (int rank = 0; rank < shape_.cluster; ++rank) {
        const int number = numbers[i] * shape_.cluster + rank;
        auto block = std::make_unique<Block>(clusters.back().get(), number, rank, shape_.shared_bytes);
        block->warps.resize(size_t((shape_.threads + kWarp - 1) / kWarp));
        for (int t = 0; t < shape_.threads; ++t) {
          threads.push_back(std::make_unique<Thread>(block.get(), t));
          prepare(*threads.back());
        }
        clusters.back()->blocks.push_back(std::move(block));
      }
    }
    ready_.clear();
    pollers_.clear();
    for (auto& thread : threads) ready_.push_back(thread.get());
    alive_ = threads.size();
    idle_turns_ = 0;
    while (alive_ > 0 && error_.empty()) {
      if (ready_.empty() && pollers_.empty()) {
        error_ = stuck(threads);
        break;
      }
      Thread* const thread = choose();
      thread->polling = false;
      ++turns_;
      enter(*thread);
      if (thread->state == State::kReady) (thread->polling ? pollers_ : ready_).push_back(thread);
      if (thread->state == State::kDone) --alive_;
      if (!thread->polling)
        progress();
      else if (++idle_turns_ > int64_t(settings().patience) * int64_t(alive_))
        error_ = stuck(threads);
    }
    if (!error_.empty()) throw Error(error_);  // what lies on the stacks of waiting threads is not destroyed
  }

  /// The next to run. Threads that only look whether something has come look now and then while others can work.
  Thread* choose() {
    std::vector<Thread*>& from = ready_.empty() || (!pollers_.empty() && draw(16) == 0) ? pollers_ : ready_;
    std::swap(from[draw(from.size())], from.back());
    Thread* const thread = from.back();
    from.pop_back();
    return thread;
  }

  std::string stuck(const std::vector<std::unique_ptr<Thread>>& threads) const {
    std::string what = "no thread can go on:";
    int told = 0;
    for (const auto& thread : threads) {
      if (thread->state == State::kDone || ++told > 4) continue;
      what += " block " + std::to_string(thread->block->index) + " thread " + std::to_string(thread->index) +
              " waits for " + thread->waits_for + ";";
    }
    return what + " " + std::to_string(alive_) + " threads in all";
  }

  void wake(Thread* thread) {
    if (thread == current_) return;  // it runs
    thread->state = State::kReady;
    ready_.push_back(thread);
  }

  // -- switching --

  void prepare(Thread& thread) {
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.data();
    thread.context.uc_stack.ss_size = Stack::size();
    thread.context.uc_link = nullptr;
    makecontext(&thread.context, reinterpret_cast<void (*)()>(&Scheduler::start), 0);
  }

  static void start();

  void enter(Thread& thread) {
    current_ = &thread;
#ifdef FASTRNN_ASAN
    __sanitizer_start_switch_fiber(&own_fake_stack_, thread.stack.data(), Stack::size());
#endif
    swapcontext(&own_context_, &thread.context);
#ifdef FASTRNN_ASAN
    __sanitizer_finish_switch_fiber(own_fake_stack_, nullptr, nullptr);
#endif
    current_ = nullptr;
  }

  void leave() {
    Thread& me = *current_;
#ifdef FASTRNN_ASAN
    __sanitizer_start_switch_fiber(me.state == State::kDone ? nullptr : &me.fake_stack, own_stack_, own_stack_size_);
#endif
    swapcontext(&me.context, &own_context_);
#ifdef FASTRNN_ASAN
    __sanitizer_finish_switch_fiber(me.fake_stack, nullptr, nullptr);
#endif
  }

  void yield() {
    current_->state = State::kReady;
    leave();
  }

  void run_thread() {
#ifdef FASTRNN_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &own_stack_, &own_stack_size_);
#endif
    try {
      body_();
    } catch (const std::exception& error) {  // an exception must not leave the fibre
      error_ = error.what();
    }
    Block& block = *current_->block;
    ++block.left;
    ++block.cluster->left;
    if (!block.barrier.here.empty() || !block.cluster->barrier.here.empty())
      if (error_.empty()) error_ = "a thread has left, and others wait at a barrier";
    current_->state = State::kDone;
    leave();
  }

  size_t draw(size_t below) {
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;
    return size_t(random_ >> 33) % below;
  }

  const LaunchShape& shape_;
  const std::function<void()>& body_;
  uint64_t random_;
  std::vector<Thread*> ready_, pollers_;
  uint64_t turns_ = 0;
  size_t alive_ = 0;
  int64_t idle_turns_ = 0;
  Thread* current_ = nullptr;
  std::string error_;
  ucontext_t own_context_;
  void* own_fake_stack_ = nullptr;
  const void* own_stack_ = nullptr;
  size_t own_stack_size_ = 0;
};

thread_local Scheduler* scheduler = nullptr;

void Scheduler::start() { scheduler->run_thread(); }

Thread& me() { return *scheduler->current(); }

}  // namespace

Settings& settings() {
  static Settings current;
  return current;
}

void launch(const LaunchShape& shape, const std::function<void()>& body) {
  Scheduler here(shape, body);
  Scheduler* const before = std::exchange(scheduler, &here);
  struct Restore {
    Scheduler* to;
    ~Restore() { scheduler = to; }
  } restore{before};
  here.run();
}

int thread_index() { return me().index; }
int num_threads() { return scheduler->shape().threads; }
int block_index() { return me().block->index; }
int num_blocks() { return scheduler->shape().blocks; }
void* shared_memory() { return me().block->shared.get(); }

bool sync_block_all(bool vote) {
  Block& block = *me().block;
  return scheduler->meet(block.barrier, size_t(scheduler->shape().threads), block.left, "the block's barrier", vote);
}

void sync_block() { sync_block_all(true); }

void sync_cluster() {
  Cluster& cluster = *me().block->cluster;
  const LaunchShape& shape = scheduler->shape();
  scheduler->meet(cluster.barrier, size_t(shape.threads) * size_t(shape.cluster), cluster.left,
                  "the cluster's barrier");
}

void exchange_warp(const void* in, int bytes, void* all) { scheduler->exchange(in, bytes, all); }

int cluster_size() { return scheduler->shape().cluster; }
int cluster_rank() { return me().block->rank; }

void* map_shared(void* own, int rank) {
  Block& block = *me().block;
  const ptrdiff_t offset = static_cast<char*>(own) - block.shared.get();
  if (offset < 0 || offset >= scheduler->shape().shared_bytes) scheduler->fail("map_shared: not in shared memory");
  if (rank < 0 || rank >= scheduler->shape().cluster) scheduler->fail("map_shared: no such block in the cluster");
  return block.cluster->blocks[size_t(rank)]->shared.get() + offset;
}

uint64_t nanoseconds() { return scheduler->turns() * settings().turn_nanoseconds; }

void wait_turn() { scheduler->poll(); }

void wrote() {
  scheduler->progress();
  scheduler->maybe_yield();
}

}  // namespace emulation
}  // namespace fastrnn
