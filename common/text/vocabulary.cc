#include "common/text/vocabulary.h"

#include <bit>
#include <cstring>

namespace banyan {
namespace {

uint64_t Load64(const char* p) {
  uint64_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

uint64_t Fold(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

uint64_t HashWord(std::string_view word) {
  constexpr uint64_t kOdd1 = 0x9E3779B97F4A7C15u;
  constexpr uint64_t kOdd2 = 0xD6E8FEB86659FD93u;
  uint64_t hash = word.size() * kOdd2;
  const char* p = word.data();
  size_t left = word.size();
  for (; left >= 8; p += 8, left -= 8) hash = Fold(hash ^ Load64(p), kOdd1);
  uint64_t tail = 0;
  std::memcpy(&tail, p, left);
  return Fold(hash ^ tail, kOdd2) + hash;
}

Vocabulary::Vocabulary(const std::vector<std::string>& tokens) {
  size_t num_bytes = 0;
  for (const std::string& token : tokens) num_bytes += token.size();
  bytes_.reserve(num_bytes);
  starts_.reserve(tokens.size() + 1);
  for (const std::string& token : tokens) {
    starts_.push_back(static_cast<uint32_t>(bytes_.size()));
    bytes_ += token;
  }
  starts_.push_back(static_cast<uint32_t>(bytes_.size()));
  slots_.resize(std::bit_ceil(tokens.size() * 2 + 2));
}

const Vocabulary::Slot* Vocabulary::Probe(std::string_view token) const {
  const uint64_t hash = HashWord(token);
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    const Slot& slot = slots_[i];
    if (slot.id < 0) return &slot;
    if (slot.hash == static_cast<uint32_t>(hash >> 32) && Token(slot.id) == token) return &slot;
  }
}

void Vocabulary::Index(TokenId id) {
  const std::string_view token = Token(id);
  Slot& slot = slots_[static_cast<size_t>(Probe(token) - slots_.data())];
  if (slot.id < 0) slot = {static_cast<uint32_t>(HashWord(token) >> 32), id};
}

std::optional<TokenId> Vocabulary::Find(std::string_view token) const {
  const Slot* slot = Probe(token);
  if (slot->id < 0) return std::nullopt;
  return slot->id;
}

}  // namespace banyan
