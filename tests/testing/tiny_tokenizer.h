// The text files of a tiny model: a byte-level BPE tokenizer and a chat template in ChatML form.
#pragma once

#include <cstdint>
#include <string>

namespace banyan::testing {

int64_t TinyTokenizerSize();
std::string TinyTokenizerJson();
std::string TinyTokenizerConfigJson();
std::string TinyChatTemplate();

}  // namespace banyan::testing
