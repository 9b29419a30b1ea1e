#include "common/rpc/option_table.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/rpc/errors.h"

namespace banyan::rpc {
namespace {

std::string EnvironmentName(std::string_view flag) {
  std::string env = "BANYAN_";
  for (const char c : flag) {
    env.push_back(c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  }
  return env;
}

absl::Status Wanted(std::string what) { return absl::InvalidArgumentError(std::move(what)); }

std::string RangeText(IntegerRange range) {
  if (range.max == std::numeric_limits<int64_t>::max()) {
    return absl::StrFormat("an integer of at least %d", range.min);
  }
  return absl::StrFormat("an integer in [%d, %d]", range.min, range.max);
}

absl::StatusOr<int64_t> ToInteger(const std::string& text, IntegerRange range) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < range.min ||
      value > range.max) {
    return Wanted(RangeText(range));
  }
  return value;
}

std::optional<bool> ToBool(std::string_view text) {
  for (const std::string_view yes : {"1", "true", "yes", "on"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"0", "false", "no", "off"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string joined;
  for (const std::string& part : parts) {
    if (!joined.empty()) joined += separator;
    joined += part;
  }
  return joined;
}

}  // namespace

OptionTable::OptionTable(std::string program, std::string summary)
    : program_(std::move(program)), summary_(std::move(summary)) {}

void OptionTable::Section(std::string title) { section_ = std::move(title); }

void OptionTable::Example(std::string command, std::string explanation) {
  examples_.emplace_back(std::move(command), std::move(explanation));
}

OptionInfo& OptionTable::Add(std::string name, std::string value_name, std::string help,
                             std::string default_text, Store store) {
  for (const OptionInfo& option : options_) {
    BANYAN_CHECK(option.name != name) << "option registered twice: " << name;
  }
  OptionInfo option;
  option.env = EnvironmentName(name);
  option.name = std::move(name);
  option.value_name = std::move(value_name);
  option.help = std::move(help);
  option.section = section_;
  option.default_text = std::move(default_text);
  option.value_text = option.default_text;
  options_.push_back(std::move(option));
  stores_.push_back(std::move(store));
  return options_.back();
}

void OptionTable::Text(std::string name, std::string value_name, std::string& target,
                       std::string help) {
  Add(std::move(name), std::move(value_name), std::move(help), target,
      [&target](const std::string& value) {
        target = value;
        return absl::OkStatus();
      });
}

void OptionTable::Integer(std::string name, std::string value_name, IntegerRange range,
                          int64_t& target, std::string help) {
  Add(std::move(name), std::move(value_name), std::move(help), std::to_string(target),
      [&target, range](const std::string& value) -> absl::Status {
        BANYAN_ASSIGN_OR_RETURN(target, ToInteger(value, range));
        return absl::OkStatus();
      });
}

void OptionTable::Integer(std::string name, std::string value_name, IntegerRange range,
                          std::optional<int64_t>& target, std::string help) {
  Add(std::move(name), std::move(value_name), std::move(help),
      target.has_value() ? std::to_string(*target) : "",
      [&target, range](const std::string& value) -> absl::Status {
        BANYAN_ASSIGN_OR_RETURN(target, ToInteger(value, range));
        return absl::OkStatus();
      });
}

void OptionTable::Real(std::string name, std::string value_name, RealRange range, double& target,
                       std::string help) {
  Add(std::move(name), std::move(value_name), std::move(help), absl::StrFormat("%g", target),
      [&target, range](const std::string& value) -> absl::Status {
        double number = 0;
        const auto [end, error] =
            std::from_chars(value.data(), value.data() + value.size(), number);
        if (error != std::errc() || end != value.data() + value.size() || !std::isfinite(number) ||
            number < range.min || number > range.max) {
          return Wanted(absl::StrFormat("a number in [%g, %g]", range.min, range.max));
        }
        target = number;
        return absl::OkStatus();
      });
}

void OptionTable::Bytes(std::string name, std::optional<int64_t>& target, std::string help) {
  Add(std::move(name), "SIZE", std::move(help), target.has_value() ? std::to_string(*target) : "",
      [&target](const std::string& value) -> absl::Status {
        const std::optional<int64_t> bytes = ParseByteSize(value);
        if (!bytes.has_value()) return Wanted("a size such as 512M or 4G");
        target = bytes;
        return absl::OkStatus();
      });
}

void OptionTable::Choice(std::string name, std::vector<std::string> choices, std::string& target,
                         std::string help) {
  const std::string shown = Join(choices, "|");
  OptionInfo& option = Add(std::move(name), shown, std::move(help), target,
                           [&target, choices, shown](const std::string& value) -> absl::Status {
                             for (const std::string& choice : choices) {
                               if (value != choice) continue;
                               target = value;
                               return absl::OkStatus();
                             }
                             return Wanted("one of " + shown);
                           });
  option.choices = std::move(choices);
}

void OptionTable::Switch(std::string name, bool& target, std::string help) {
  BANYAN_CHECK(!target) << "a switch begins off: " << name;
  Add(std::move(name), "", std::move(help), "", [&target](const std::string& value) {
    const std::optional<bool> on = ToBool(value);
    if (!on.has_value()) return Wanted("1, true, yes, on, 0, false, no or off");
    target = *on;
    return absl::OkStatus();
  });
}

void OptionTable::List(std::string name, std::string value_name, std::vector<std::string>& target,
                       std::string help) {
  OptionInfo& option = Add(std::move(name), std::move(value_name), std::move(help),
                           Join(target, ","), [&target](const std::string& value) {
                             target.push_back(value);
                             return absl::OkStatus();
                           });
  option.repeated = true;
}

void OptionTable::Positional(std::string value_name, Need need, std::string& target,
                             std::string help) {
  OptionInfo& option =
      Add(std::move(value_name), "", std::move(help), target, [&target](const std::string& value) {
        target = value;
        return absl::OkStatus();
      });
  option.positional = true;
  option.required = need == Need::kRequired;
  option.env.clear();
}

absl::Status OptionTable::Apply(size_t index, const std::string& source, const std::string& value,
                                OptionOrigin origin) {
  if (absl::Status status = stores_[index](value); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: want %s, got %s", source, std::string(status.message()), QuoteValue(value)));
  }
  OptionInfo& option = options_[index];
  const bool further = option.repeated && option.origin == origin;
  option.value_text = further ? option.value_text + "," + value : value;
  option.origin = origin;
  return absl::OkStatus();
}

absl::Status OptionTable::ApplyEnvironment() {
  for (size_t i = 0; i < options_.size(); ++i) {
    const OptionInfo& option = options_[i];
    if (option.env.empty() || option.origin == OptionOrigin::kFlag) continue;
    const char* value = std::getenv(option.env.c_str());
    if (value == nullptr || *value == '\0') continue;
    std::string rest = value;
    while (option.repeated && rest.find(',') != std::string::npos) {
      const size_t comma = rest.find(',');
      BANYAN_RETURN_IF_ERROR(
          Apply(i, option.env, rest.substr(0, comma), OptionOrigin::kEnvironment));
      rest.erase(0, comma + 1);
    }
    BANYAN_RETURN_IF_ERROR(Apply(i, option.env, rest, OptionOrigin::kEnvironment));
  }
  return absl::OkStatus();
}

absl::Status OptionTable::ApplyFlag(size_t index, const std::vector<std::string>& values) {
  const std::string flag = "--" + options_[index].name;
  if (values.size() > 1 && !options_[index].repeated) {
    return absl::InvalidArgumentError(flag + ": given more than once");
  }
  for (const std::string& value : values) {
    BANYAN_RETURN_IF_ERROR(Apply(index, flag, value, OptionOrigin::kFlag));
  }
  return absl::OkStatus();
}

absl::Status OptionTable::ApplyExtras(const std::vector<std::string>& extras) {
  std::vector<std::string> names = {"help", "version"};
  for (const OptionInfo& option : options_) {
    if (!option.positional) names.push_back(option.name);
  }
  size_t next = 0;
  for (const std::string& extra : extras) {
    if (extra == "--") continue;
    if (extra.starts_with("-") && extra.size() > 1) {
      const std::string bare = extra.substr(extra.find_first_not_of('-'));
      const auto nearest = NearestName(bare.substr(0, bare.find('=')), names);
      return absl::InvalidArgumentError(absl::StrFormat(
          "unknown flag %s%s; see %s --help", QuoteValue(extra),
          nearest.has_value() ? ", did you mean --" + *nearest + "?" : "", program_));
    }
    while (next < options_.size() && !options_[next].positional) ++next;
    if (next == options_.size()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("unexpected argument %s; see %s --help", QuoteValue(extra), program_));
    }
    BANYAN_RETURN_IF_ERROR(Apply(next, options_[next].name, extra, OptionOrigin::kFlag));
    ++next;
  }
  return absl::OkStatus();
}

absl::StatusOr<ParseOutcome> OptionTable::Parse(int argc, const char* const* argv) {
  CLI::App app(summary_, program_);
  app.set_help_flag();
  bool help = false;
  bool version = false;
  app.add_flag("-h,--help", help);
  app.add_flag("--version", version);
  app.allow_extras();
  std::vector<CLI::Option*> parsed;
  std::vector<std::vector<std::string>> values(options_.size());
  for (size_t i = 0; i < options_.size(); ++i) {
    const OptionInfo& option = options_[i];
    if (option.positional) {
      parsed.push_back(nullptr);
    } else if (option.value_name.empty()) {
      parsed.push_back(app.add_flag("--" + option.name));
    } else {
      // One value per flag, however often the flag comes.
      CLI::Option* added = app.add_option("--" + option.name, values[i]);
      parsed.push_back(added->take_all()->allow_extra_args(false));
    }
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  if (help) return ParseOutcome::kHelp;
  if (version) return ParseOutcome::kVersion;

  for (size_t i = 0; i < options_.size(); ++i) {
    if (parsed[i] == nullptr || parsed[i]->count() == 0) continue;
    if (options_[i].value_name.empty()) values[i] = parsed[i]->results();
    BANYAN_RETURN_IF_ERROR(ApplyFlag(i, values[i]));
  }
  BANYAN_RETURN_IF_ERROR(ApplyExtras(app.remaining()));
  BANYAN_RETURN_IF_ERROR(ApplyEnvironment());
  for (const OptionInfo& option : options_) {
    if (option.required && option.origin == OptionOrigin::kDefault) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s is missing; see %s --help", option.name, program_));
    }
  }
  return ParseOutcome::kRun;
}

std::optional<int64_t> ParseByteSize(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0) return std::nullopt;
  std::string_view suffix = text.substr(static_cast<size_t>(end - text.data()));
  if (suffix.empty() || suffix == "B") return number;
  const size_t power = std::string_view("KMGT").find(suffix[0]);
  suffix.remove_prefix(1);
  if (power == std::string_view::npos || !(suffix.empty() || suffix == "B" || suffix == "iB")) {
    return std::nullopt;
  }
  int64_t bytes = 0;
  const int64_t unit = int64_t{1} << (10 * (power + 1));
  if (__builtin_mul_overflow(number, unit, &bytes)) return std::nullopt;
  return bytes;
}

std::optional<std::string> NearestName(std::string_view name,
                                       const std::vector<std::string>& known) {
  // Levenshtein distance, one row at a time; names are short.
  const auto distance = [&](std::string_view other) {
    std::vector<size_t> row(other.size() + 1);
    for (size_t j = 0; j <= other.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= name.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= other.size(); ++j) {
        const size_t substitute = diagonal + (name[i - 1] == other[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
      }
    }
    return row.back();
  };
  if (name.size() > 64) return std::nullopt;
  std::optional<std::string> nearest;
  size_t best = std::max<size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    if (const size_t edits = distance(candidate); edits < best) {
      best = edits;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace banyan::rpc
