#include "common/text/word_cache.h"

#include <utility>

namespace banyan {

WordCachePool::Lease::~Lease() {
  if (cache_ == nullptr) return;
  const std::lock_guard lock(pool_.mutex_);
  pool_.free_.push_back(std::move(cache_));
}

WordCachePool::Lease WordCachePool::Borrow() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      std::unique_ptr<WordCache> cache = std::move(free_.back());
      free_.pop_back();
      return Lease(*this, std::move(cache));
    }
    if (num_caches_ == num_caches_max_) return Lease(*this, nullptr);
    ++num_caches_;
  }
  return Lease(*this, std::make_unique<WordCache>());
}

}  // namespace banyan
