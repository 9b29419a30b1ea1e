// One table of options makes flags, environment variables and --help, for banyan-router,
// banyan-worker and every command of banyan.
//
//   OptionTable table("banyan-worker", "Serves one model replica to routers.");
//   table.Section("Model");
//   table.Text("model", "PATH", options.model, "A .gguf file or a Hugging Face directory.");
//   table.Integer("threads", "N", {0, 1024}, options.threads, "Compute threads; 0: all cores.");
//   BANYAN_ASSIGN_OR_RETURN(const ParseOutcome outcome, table.Parse(argc, argv));
//
// The target's value at registration is the default that --help shows. Precedence: flag,
// environment (BANYAN_ and the flag's name in capitals, '-' as '_'), default. An empty variable
// counts as unset. Unknown flags, bad values and repeated single values are INVALID_ARGUMENT, with
// the nearest known name. Targets must outlive Parse. Used by one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace banyan::rpc {

enum class ParseOutcome {
  kRun,
  kHelp,     // --help was given: print Help() to stdout and exit 0
  kVersion,  // --version was given
};

enum class OptionOrigin { kDefault, kEnvironment, kFlag };

struct IntegerRange {
  int64_t min = std::numeric_limits<int64_t>::min();
  int64_t max = std::numeric_limits<int64_t>::max();
};

struct RealRange {
  double min = std::numeric_limits<double>::lowest();
  double max = std::numeric_limits<double>::max();
};

// What is known of one option; for help, completions and the start-up block.
struct OptionInfo {
  std::string name;        // without dashes; of a positional argument, as shown: "PATH"
  std::string env;         // empty for positional arguments
  std::string value_name;  // empty for switches
  std::string help;
  std::string section;
  std::string default_text;  // empty: none
  std::vector<std::string> choices;
  bool positional = false;
  bool required = false;
  bool repeated = false;
  OptionOrigin origin = OptionOrigin::kDefault;
  std::string value_text;  // after Parse
};

class OptionTable {
 public:
  // `program` as typed ("banyan serve"); `summary` is one sentence.
  OptionTable(std::string program, std::string summary);

  // Options after this call stand under `title` in --help.
  void Section(std::string title);
  // A line of the examples at the end of --help.
  void Example(std::string command, std::string explanation);

  void Text(std::string name, std::string value_name, std::string& target, std::string help);
  void Integer(std::string name, std::string value_name, IntegerRange range, int64_t& target,
               std::string help);
  void Integer(std::string name, std::string value_name, IntegerRange range,
               std::optional<int64_t>& target, std::string help);
  void Real(std::string name, std::string value_name, RealRange range, double& target,
            std::string help);
  // A size: digits and an optional K, M, G or T (powers of 1,024), "iB" allowed behind it.
  void Bytes(std::string name, std::optional<int64_t>& target, std::string help);
  void Choice(std::string name, std::vector<std::string> choices, std::string& target,
              std::string help);
  // On when given. Its variable takes 1, true, yes, on, 0, false, no, off.
  void Switch(std::string name, bool& target, std::string help);
  // May be given several times; the variable separates values by commas.
  void List(std::string name, std::string value_name, std::vector<std::string>& target,
            std::string help);
  // The next argument that is no flag.
  enum class Need { kRequired, kOptional };
  void Positional(std::string value_name, Need need, std::string& target, std::string help);

  // INVALID_ARGUMENT: one sentence that names flag or variable, value and what is wanted.
  absl::StatusOr<ParseOutcome> Parse(int argc, const char* const* argv);

  // 80 columns.
  std::string Help() const;
  const std::vector<OptionInfo>& options() const { return options_; }

 private:
  // Converts and stores one value; the error says what is wanted ("an integer in [1, 8]").
  using Store = std::function<absl::Status(const std::string& value)>;

  OptionInfo& Add(std::string name, std::string value_name, std::string help,
                  std::string default_text, Store store);
  absl::Status Apply(size_t index, const std::string& source, const std::string& value,
                     OptionOrigin origin);
  absl::Status ApplyFlag(size_t index, const std::vector<std::string>& values);
  // Positional arguments in order, and what nobody knows.
  absl::Status ApplyExtras(const std::vector<std::string>& extras);
  absl::Status ApplyEnvironment();

  std::string program_;
  std::string summary_;
  std::string section_ = "Options";
  std::vector<OptionInfo> options_;
  std::vector<Store> stores_;
  std::vector<std::pair<std::string, std::string>> examples_;
};

// "4G" -> 4294967296. Absent for anything else than digits and one suffix, and on overflow.
std::optional<int64_t> ParseByteSize(std::string_view text);

// The entry of `known` nearest to `name` by edits, where that is near enough to be meant.
std::optional<std::string> NearestName(std::string_view name,
                                       const std::vector<std::string>& known);

}  // namespace banyan::rpc
