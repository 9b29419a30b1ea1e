// Cuts text into the words that BPE never joins across: the published pre-tokenizer patterns as
// hand-written linear scanners. Where a pattern says \s+(?!\S) or backtracks, the scanner computes
// the same end directly. Immutable and thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "common/text/unicode.h"

namespace banyan {

enum class SplitRule : uint8_t {
  kDigitsEach,     // every \p{N} alone, what lies between together
  kDigitRuns,      // runs of \p{N} alone
  kGpt2,           // GPT-2: contractions, letters, numbers, other; one leading blank
  kCl100kOne,      // as GPT-4's, numbers one by one (Qwen 2 and 3)
  kCl100kThree,    // as GPT-4's, numbers by up to three (Llama 3)
  kO200k,          // GPT-4o: by case, contractions at the end, numbers by up to three
  kTekken,         // Mistral: by case, no contractions, numbers one by one
  kBlankMark,      // before every U+2581 (Metaspace)
  kBlankMarkRuns,  // before every run of U+2581
};

// The rule of a published regular expression, spelled exactly; absent: not known.
std::optional<SplitRule> FindSplitRule(std::string_view regex);

// Where the word ends that begins at `begin` < text.size(); `text` is valid UTF-8. Over a whole
// text, linear.
size_t WordEnd(SplitRule rule, const CharTable& table, std::string_view text, size_t begin);

}  // namespace banyan
