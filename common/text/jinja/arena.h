// Memory of one parsed template or one rendering: bump allocation, freed as a whole, with a limit
// on the sum of all bytes ever handed out. So nothing made by a template needs reference counts or
// destructors, cycles cannot leak, and a runaway template is stopped by its own allocations.
// One thread at a time while it grows; readers are free afterwards.
//
// Past the limit the arena is `exceeded` for good: large requests fail, small ones are still served
// so that callers need no error path of their own; the interpreter looks at exceeded() at every
// step and loops in built-in functions look at it at every turn.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace banyan::jinja {

class Arena {
 public:
  explicit Arena(size_t limit_bytes) : limit_bytes_(limit_bytes) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // 16-byte aligned; nullptr only if the limit is exceeded and `bytes` > kSmallBytes.
  void* Allocate(size_t bytes);

  // Counts bytes that are held elsewhere (a growing buffer). False once the limit is exceeded.
  bool Charge(size_t bytes);

  // An object that needs no destructor and is at most kSmallBytes: never null.
  template <typename T, typename... Args>
  T* New(Args&&... args) {
    static_assert(std::is_trivially_destructible_v<T> && sizeof(T) <= kSmallBytes);
    return new (Allocate(sizeof(T))) T{std::forward<Args>(args)...};
  }

  // Uninitialised; nullptr if the limit is exceeded.
  template <typename T>
  T* NewArray(size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    if (count > limit_bytes_ / sizeof(T)) {
      exceeded_ = true;
      return nullptr;
    }
    if (!Charge(0)) return nullptr;
    return static_cast<T*>(Allocate(count * sizeof(T)));
  }

  bool exceeded() const { return exceeded_; }
  size_t limit_bytes() const { return limit_bytes_; }
  size_t used_bytes() const { return used_bytes_; }

  static constexpr size_t kSmallBytes = 256;

 private:
  void* AllocateFromNewChunk(size_t bytes);

  const size_t limit_bytes_;
  size_t used_bytes_ = 0;
  bool exceeded_ = false;
  char* next_ = nullptr;
  size_t room_ = 0;
  size_t chunk_bytes_ = 8 << 10;  // of the next chunk; doubles up to 1 MiB
  std::vector<std::unique_ptr<char[]>> chunks_;
};

}  // namespace banyan::jinja
