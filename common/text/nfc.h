// Unicode normalization form C (UAX #15), in time O(n log n) on any input. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace banyan {

// True when `text` (valid UTF-8) surely is in form C; a false says that it may not be.
bool IsSurelyNfc(std::string_view text);

// The form C of `text`. With `sources`, also the offset in `text` that each byte of the result
// comes from, at the granularity of the runs that were rewritten.
std::string ToNfc(std::string_view text, std::vector<uint32_t>* sources);

}  // namespace banyan
