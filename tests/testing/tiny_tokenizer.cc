#include "tests/testing/tiny_tokenizer.h"

#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace banyan::testing {
namespace {

constexpr std::array<std::string_view, 3> kSpecialTokens = {"<|endoftext|>", "<|im_start|>",
                                                            "<|im_end|>"};

// Pairs in order of rank. A space is written as U+0120, as byte-level BPE does.
constexpr std::array<std::pair<std::string_view, std::string_view>, 24> kMerges = {{
    {"Ġ", "t"},  {"h", "e"},   {"i", "n"},   {"r", "e"},  {"o", "n"}, {"Ġ", "a"},
    {"e", "r"},  {"Ġt", "he"}, {"n", "d"},   {"a", "t"},  {"o", "r"}, {"Ġ", "w"},
    {"i", "s"},  {"Ġ", "s"},   {"l", "l"},   {"i", "t"},  {"Ġ", "o"}, {"e", "n"},
    {"in", "g"}, {"a", "n"},   {"Ġa", "nd"}, {"Ġo", "n"}, {"h", "i"}, {"1", "2"},
}};

void AppendUtf8(uint32_t code_point, std::string& out) {
  if (code_point < 0x80) {
    out.push_back(static_cast<char>(code_point));
  } else {  // nothing here is above U+07FF
    out.push_back(static_cast<char>(0xC0 | (code_point >> 6)));
    out.push_back(static_cast<char>(0x80 | (code_point & 0x3F)));
  }
}

// The character byte-level BPE writes for a byte: printable Latin-1 as itself, the others as
// U+0100 and up in byte order (Radford et al. 2019, GPT-2's encoder).
std::vector<std::string> ByteCharacters() {
  std::vector<std::string> characters;
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    std::string character;
    AppendUtf8(printable ? byte : next++, character);
    characters.push_back(std::move(character));
  }
  return characters;
}

std::string Quote(std::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  quoted.push_back('"');
  return quoted;
}

std::string AddedTokensJson() {
  std::string json;
  for (size_t id = 0; id < kSpecialTokens.size(); ++id) {
    json += absl::StrFormat(
        "%s{\"id\": %d, \"content\": \"%s\", \"single_word\": false, \"lstrip\": false, "
        "\"rstrip\": false, \"normalized\": false, \"special\": true}",
        id == 0 ? "" : ", ", id, kSpecialTokens[id]);
  }
  return json;
}

}  // namespace

int64_t TinyTokenizerSize() {
  return static_cast<int64_t>(kSpecialTokens.size() + 256 + kMerges.size());
}

std::string TinyTokenizerJson() {
  std::string vocabulary;
  int64_t next_id = 0;
  const auto add = [&](std::string_view token) {
    vocabulary += absl::StrFormat("%s%s: %d", next_id == 0 ? "" : ", ", Quote(token), next_id);
    ++next_id;
  };
  for (std::string_view token : kSpecialTokens) add(token);
  for (const std::string& character : ByteCharacters()) add(character);
  std::string merges;
  for (const auto& [left, right] : kMerges) {
    add(std::string(left) + std::string(right));
    merges += absl::StrFormat("%s[%s, %s]", merges.empty() ? "" : ", ", Quote(left), Quote(right));
  }
  return absl::StrFormat(
      "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null,\n"
      " \"added_tokens\": [%s],\n"
      " \"normalizer\": null,\n"
      " \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
      "\"trim_offsets\": true, \"use_regex\": true},\n"
      " \"post_processor\": null,\n"
      " \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
      "\"trim_offsets\": true, \"use_regex\": true},\n"
      " \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, "
      "\"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, \"fuse_unk\": false, "
      "\"byte_fallback\": false, \"ignore_merges\": false,\n"
      "  \"vocab\": {%s},\n"
      "  \"merges\": [%s]}}\n",
      AddedTokensJson(), vocabulary, merges);
}

std::string TinyTokenizerConfigJson() {
  return "{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"bos_token\": null, "
         "\"eos_token\": \"<|im_end|>\", \"pad_token\": \"<|endoftext|>\", "
         "\"clean_up_tokenization_spaces\": false, \"model_max_length\": 1024}\n";
}

std::string TinyChatTemplate() {
  return "{% for message in messages %}"
         "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' "
         "}}"
         "{% endfor %}"
         "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
}

}  // namespace banyan::testing
