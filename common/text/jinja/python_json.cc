// json.dumps (Python documentation, "json: JSON encoder and decoder").
#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/text/jinja/python_text.h"
#include "common/text/jinja/unicode.h"

namespace banyan::jinja {
namespace {

std::string UnicodeEscape(char32_t c) {
  if (c < 0x10000) return absl::StrFormat("\\u%04x", static_cast<unsigned>(c));
  const char32_t offset = c - 0x10000;
  return absl::StrFormat("\\u%04x\\u%04x", static_cast<unsigned>(0xD800 + (offset >> 10)),
                         static_cast<unsigned>(0xDC00 + (offset & 0x3FF)));
}

// The escape of a character that needs one, else an empty string.
std::string JsonEscape(char32_t c, bool ensure_ascii) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    default:
      break;
  }
  if (c < 0x20 || (ensure_ascii && c >= 0x7F && c < kInvalidBase)) {
    return UnicodeEscape(c);
  }
  return "";
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, TextBuilder* out) : style_(style), out_(*out) {}

  absl::Status Write(const Value& value) {
    switch (value.kind) {
      case Kind::kNone:
        out_.Append("null");
        return absl::OkStatus();
      case Kind::kBool:
        out_.Append(value.boolean ? "true" : "false");
        return absl::OkStatus();
      case Kind::kInt:
      case Kind::kBigInt:
        out_.Append(IntegerText(ToBigInt(value)));
        return absl::OkStatus();
      case Kind::kFloat:
        out_.Append(FloatText(value.number));
        return absl::OkStatus();
      case Kind::kString:
        WriteString(*value.string);
        return absl::OkStatus();
      case Kind::kDict:
        return WriteDict(*value.dict);
      case Kind::kSequence:
        if (value.sequence->flavor <= Flavor::kTuple) return WriteList(*value.sequence);
        break;
      default:
        break;
    }
    return Error("Object of type %s is not JSON serializable", TypeName(value));
  }

 private:
  static std::string FloatText(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    return FloatRepr(value);
  }

  void WriteString(const String& s) {
    const std::string_view text = s.view();
    out_.Append('"');
    size_t plain_begin = 0;
    for (size_t at = 0; at < text.size() && !out_.overflowed();) {
      const CodePoint c = DecodeAt(text, at);
      const std::string escape = JsonEscape(c.value, style_.ensure_ascii);
      if (!escape.empty()) {
        out_.AppendSlice(s, plain_begin, at);
        out_.Append(escape, IsUserByte(s, at) ? Origin::kUser : Origin::kTemplate);
        plain_begin = at + c.size;
      }
      at += c.size;
    }
    out_.AppendSlice(s, plain_begin, s.size);
    out_.Append('"');
  }

  void NewLine() {
    if (!style_.indent) return;
    out_.Append('\n');
    for (int i = 0; i < depth_; ++i) out_.Append(*style_.indent);
  }

  absl::Status WriteList(const Sequence& s) {
    if (s.size == 0) {
      out_.Append("[]");
      return absl::OkStatus();
    }
    out_.Append('[');
    ++depth_;
    for (size_t i = 0; i < s.size && !out_.overflowed(); ++i) {
      if (i > 0) out_.Append(style_.item_separator);
      NewLine();
      BANYAN_RETURN_IF_ERROR(Write(s.items[i]));
    }
    --depth_;
    NewLine();
    out_.Append(']');
    return absl::OkStatus();
  }

  absl::Status WriteKey(const Value& key) {
    if (key.is_string()) {
      WriteString(*key.string);
    } else if (key.is_none() || key.is_number()) {
      out_.Append('"');
      BANYAN_RETURN_IF_ERROR(Write(key));
      out_.Append('"');
    } else {
      return Error("keys must be str, int, float, bool or None, not %s", TypeName(key));
    }
    out_.Append(style_.key_separator);
    return absl::OkStatus();
  }

  absl::Status WriteDict(const Dict& d) {
    if (d.size == 0) {
      out_.Append("{}");
      return absl::OkStatus();
    }
    std::vector<const DictEntry*> entries;
    for (size_t i = 0; i < d.size; ++i) entries.push_back(&d.entries[i]);
    if (style_.sort_keys) BANYAN_RETURN_IF_ERROR(SortKeys(&entries));
    out_.Append('{');
    ++depth_;
    for (size_t i = 0; i < entries.size() && !out_.overflowed(); ++i) {
      if (i > 0) out_.Append(style_.item_separator);
      NewLine();
      BANYAN_RETURN_IF_ERROR(WriteKey(entries[i]->key));
      BANYAN_RETURN_IF_ERROR(Write(entries[i]->value));
    }
    --depth_;
    NewLine();
    out_.Append('}');
    return absl::OkStatus();
  }

  static absl::Status SortKeys(std::vector<const DictEntry*>* entries) {
    const bool all_strings = std::all_of(entries->begin(), entries->end(),
                                         [](const DictEntry* e) { return e->key.is_string(); });
    if (!all_strings) return Error("keys of different types cannot be sorted");
    std::sort(entries->begin(), entries->end(),
              [](const DictEntry* a, const DictEntry* b) { return a->key.text() < b->key.text(); });
    return absl::OkStatus();
  }

  const JsonStyle& style_;
  TextBuilder& out_;
  int depth_ = 0;
};

}  // namespace

absl::Status AppendJson(const Value& value, const JsonStyle& style, TextBuilder* out) {
  return JsonWriter(style, out).Write(value);
}

}  // namespace banyan::jinja
