#include "common/text/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <utility>

#include "common/text/unicode.h"

namespace banyan {
namespace {

int CombiningClass(utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; }

// utf8proc orders marks by insertion, quadratic on long runs of them: we decompose and order
// ourselves and leave it the composition, which is linear.
void AppendNfcOfRun(std::string_view run, std::string& out) {
  std::vector<utf8proc_int32_t> chars;
  for (size_t at = 0; at < run.size();) {
    const DecodedChar c = DecodeChar(run.data() + at);
    at += c.size;
    utf8proc_int32_t parts[8];
    const utf8proc_ssize_t num_parts = utf8proc_decompose_char(
        static_cast<utf8proc_int32_t>(c.code), parts, 8, UTF8PROC_DECOMPOSE, nullptr);
    if (num_parts >= 1 && num_parts <= 8) {
      chars.insert(chars.end(), parts, parts + num_parts);
    } else {
      chars.push_back(static_cast<utf8proc_int32_t>(c.code));
    }
  }
  for (auto begin = chars.begin(); begin != chars.end();) {
    if (CombiningClass(*begin) == 0) {
      ++begin;
      continue;
    }
    const auto end =
        std::find_if(begin, chars.end(), [](utf8proc_int32_t c) { return CombiningClass(c) == 0; });
    // Sorted by class, then by place: clang refuses libstdc++'s std::stable_sort.
    std::vector<std::pair<uint64_t, utf8proc_int32_t>> marks;
    for (auto mark = begin; mark != end; ++mark) {
      marks.emplace_back(static_cast<uint64_t>(CombiningClass(*mark)) << 32 | marks.size(), *mark);
    }
    std::sort(marks.begin(), marks.end());
    std::transform(marks.begin(), marks.end(), begin, [](const auto& mark) { return mark.second; });
    begin = end;
  }
  const utf8proc_ssize_t length =
      utf8proc_normalize_utf32(chars.data(), static_cast<utf8proc_ssize_t>(chars.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  for (utf8proc_ssize_t i = 0; i < length; ++i) {
    AppendUtf8(static_cast<char32_t>(chars[static_cast<size_t>(i)]), out);
  }
}

// Offset of the first suspect at or after `at`, and of the character before it.
struct Suspect {
  size_t previous = 0;
  size_t at = 0;
};
Suspect FindSuspect(std::string_view text, size_t at) {
  const CharTable& table = CharTable::Get();
  Suspect found{at, at};
  while (found.at < text.size()) {
    if (static_cast<uint8_t>(text[found.at]) < 0xC0) {
      found.previous = found.at++;
      continue;
    }
    const DecodedChar c = DecodeChar(text.data() + found.at);
    if (table.Classes(c.code) & kNfcSuspect) return found;
    found.previous = found.at;
    found.at += c.size;
  }
  return found;
}

}  // namespace

bool IsSurelyNfc(std::string_view text) { return FindSuspect(text, 0).at == text.size(); }

std::string ToNfc(std::string_view text, std::vector<uint32_t>* sources) {
  const CharTable& table = CharTable::Get();
  std::string out;
  out.reserve(text.size());
  size_t done = 0;
  while (done < text.size()) {
    const Suspect suspect = FindSuspect(text, done);
    const size_t keep = suspect.at == text.size() ? text.size() : suspect.previous;
    out.append(text, done, keep - done);
    if (sources != nullptr) {
      for (size_t i = done; i < keep; ++i) sources->push_back(static_cast<uint32_t>(i));
    }
    size_t end = suspect.at;
    while (end < text.size()) {
      const DecodedChar c = DecodeChar(text.data() + end);
      if (end > suspect.at && !(table.Classes(c.code) & kNfcSuspect)) break;
      end += c.size;
    }
    if (keep < end) AppendNfcOfRun(text.substr(keep, end - keep), out);
    if (sources != nullptr) sources->resize(out.size(), static_cast<uint32_t>(keep));
    done = end;
  }
  return out;
}

}  // namespace banyan
