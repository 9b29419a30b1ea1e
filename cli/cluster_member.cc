#include "cli/cluster_member.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/base/status_macros.h"

namespace banyan::cli {
namespace {

constexpr Duration kRestartMin = std::chrono::seconds(1);
constexpr Duration kRestartMax = std::chrono::seconds(30);
constexpr Duration kStable = std::chrono::seconds(60);

}  // namespace

ClusterMember::ClusterMember(MemberKind kind, std::string name, std::string program,
                             ProcessPorts ports, MakeArguments arguments,
                             const std::filesystem::path& state_dir)
    : kind_(kind),
      name_(std::move(name)),
      program_(std::move(program)),
      ports_(std::move(ports)),
      arguments_(std::move(arguments)),
      port_file_(state_dir / (name_ + ".ports.json")),
      log_path_(state_dir / (name_ + ".log")),
      log_(log_path_, std::ios::app) {}

absl::Status ClusterMember::Start() {
  std::error_code ignored;  // the first start has none
  std::filesystem::remove(port_file_, ignored);
  ready_ = false;
  restart_at_.reset();
  started_ = Clock::Real().Now();
  BANYAN_ASSIGN_OR_RETURN(child_, ChildProcess::Start(program_, arguments_(ports_)));
  return absl::OkStatus();
}

void ClusterMember::Pump(const OnLine& on_line) {
  if (!child_) return;
  for (const std::string& text : child_->ReadLines()) {
    log_ << text << '\n';
    const std::optional<ChildLogLine> line = ParseChildLogLine(text);
    if (!line) {
      // Not ours: a library's last words, for instance.
      last_error_ = text;
      continue;
    }
    if (line->event == "worker_plan") plan_ = *line;
    if (line->level == "error") last_error_ = line->Text("error");
    if (line->event == "worker_ready" || line->event == "router_ready") {
      ReadPortFile();
      ready_ = true;
    }
    on_line(*this, *line);
  }
  log_.flush();
}

void ClusterMember::ReadPortFile() {
  std::ifstream file(port_file_);
  const nlohmann::json json = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  const auto read = [&](const char* key, rpc::ListenAddress& target) {
    if (!json.is_object() || !json.contains(key) || !json[key].is_string()) return;
    const auto address = rpc::ParseListenAddress(json[key].get<std::string>(), key);
    if (address.ok()) target = *address;
  };
  read(kind_ == MemberKind::kRouter ? "router" : "worker", ports_.listen);
  read("metrics", ports_.metrics);
  read("health", ports_.health);
  read("admin", ports_.admin);
}

void ClusterMember::ScheduleRestart(TimePoint now) {
  num_crashes_ = ready_ && now - started_ > kStable ? 1 : num_crashes_ + 1;
  const int doublings = std::min(num_crashes_ - 1, 5);
  restart_at_ = now + std::min(kRestartMax, kRestartMin * (1 << doublings));
  ready_ = false;
}

}  // namespace banyan::cli
