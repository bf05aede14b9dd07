#pragma once
// Arrays whose memory goes back to the system when they are freed. The heap keeps what lies under a block still in use:
// of a corpus of 10 million words it held on to all 40 MB of ids that had been copied.

#include <stdint.h>
#include <stdlib.h>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#endif

#include <memory>
#include <new>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace fastrnn {

struct FreePages {
  size_t mapped = 0;  // bytes; 0: on the heap
  void operator()(uint32_t* p) const {
#if defined(__unix__) || defined(__APPLE__)
    if (mapped) {
      munmap(p, mapped);
      return;
    }
#endif
    free(p);
  }
};

using PageArray = std::unique_ptr<uint32_t[], FreePages>;

/// Small arrays, and any that the system will not map, come from the heap.
inline PageArray make_page_array(size_t size) {
  const size_t bytes = size * sizeof(uint32_t);
#if defined(__unix__) || defined(__APPLE__)
  constexpr size_t kLeast = size_t(64) << 10;
  if (bytes >= kLeast) {
    void* const p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p != MAP_FAILED) return PageArray(static_cast<uint32_t*>(p), FreePages{bytes});
  }
#endif
  void* const p = malloc(bytes ? bytes : 1);
  if (!p) throw std::bad_alloc();
  return PageArray(static_cast<uint32_t*>(p), FreePages{});
}

/// After many small pieces have been freed: glibc keeps what lies below the end of its heaps (12 MB of words' tables,
/// when 10 million words had been read).
inline void return_free_memory() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace fastrnn
