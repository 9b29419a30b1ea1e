// GPT-2's spelling of bytes as printable characters, in which byte-level vocabularies are written:
// bytes that are printable in Latin-1 stand for themselves, the others are U+0100 and up in order.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace banyan {

// Appends the bytes that `spelled` stands for; false (and `out` as it was) when a character of it
// spells no byte. `spelled` is valid UTF-8.
bool AppendSpelledBytes(std::string_view spelled, std::string& out);

}  // namespace banyan
