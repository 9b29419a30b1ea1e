#include "common/text/jinja/arena.h"

#include <algorithm>

namespace banyan::jinja {

bool Arena::Charge(size_t bytes) {
  if (bytes > limit_bytes_ - std::min(used_bytes_, limit_bytes_)) exceeded_ = true;
  if (exceeded_) return false;
  used_bytes_ += bytes;
  return true;
}

void* Arena::Allocate(size_t bytes) {
  bytes = (bytes + 15) & ~size_t{15};
  if (!Charge(bytes) && bytes > kSmallBytes) return nullptr;
  if (bytes > room_) return AllocateFromNewChunk(bytes);
  char* const result = next_;
  next_ += bytes;
  room_ -= bytes;
  return result;
}

void* Arena::AllocateFromNewChunk(size_t bytes) {
  // Large pieces stand alone, so that the rest of the current chunk is not lost.
  if (bytes > chunk_bytes_ / 4) {
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(bytes));
    return chunks_.back().get();
  }
  chunks_.push_back(std::make_unique_for_overwrite<char[]>(chunk_bytes_));
  next_ = chunks_.back().get() + bytes;
  room_ = chunk_bytes_ - bytes;
  chunk_bytes_ = std::min<size_t>(chunk_bytes_ * 2, 1 << 20);
  return chunks_.back().get();
}

}  // namespace banyan::jinja
