#include "router/routing/worker_health.h"

#include <algorithm>

namespace banyan::router {

std::string_view NameOf(WorkerHealth health) {
  switch (health) {
    case WorkerHealth::kConnecting:
      return "connecting";
    case WorkerHealth::kHealthy:
      return "healthy";
    case WorkerHealth::kSlowStart:
      return "slow_start";
    case WorkerHealth::kStale:
      return "stale";
    case WorkerHealth::kEjected:
      return "ejected";
    case WorkerHealth::kDraining:
      return "draining";
  }
  return "";
}

void WorkerHealthTracker::OnConnected(TimePoint now) {
  connected_ = ever_connected_ = true;
  reported_ = suspect_ = ejected_ = probing_ = in_rotation_ = false;
  errors_in_a_row_ = num_failed_probes_ = reports_since_move_ = 0;
  reported_at_ = now;
  Update(now);
}

void WorkerHealthTracker::OnConnectionLost(TimePoint now) {
  connected_ = false;
  Update(now);
}

void WorkerHealthTracker::OnReport(const LoadReport& report, TimePoint now) {
  if (!reported_ || report.heartbeats != heartbeats_) {
    heartbeats_ = report.heartbeats;
    heartbeats_moved_at_ = now;
    reports_since_move_ = 0;
  } else {
    ++reports_since_move_;
  }
  reported_ = true;
  reported_at_ = now;
  state_ = report.state;
  Update(now);
}

std::string_view WorkerHealthTracker::SuspectReason(TimePoint now) const {
  if (now - reported_at_ > limits_.report_age_max) return "no load report for 1 s";
  if (reports_since_move_ >= limits_.heartbeat_stands_reports &&
      now - heartbeats_moved_at_ >= limits_.heartbeat_stands_max) {
    return "engine heartbeats stand still";
  }
  if (errors_in_a_row_ >= limits_.errors_in_a_row_max) return "3 errors in a row";
  return {};
}

void WorkerHealthTracker::Update(TimePoint now) {
  if (!connected_) {
    in_rotation_ = false;
    return ever_connected_ ? Become(WorkerHealth::kEjected, "connection lost")
                           : Become(WorkerHealth::kConnecting, "not connected yet");
  }
  if (!reported_) return Become(WorkerHealth::kConnecting, "waiting for its first load report");
  const std::string_view suspect = SuspectReason(now);
  if (suspect.empty()) {
    suspect_ = false;
  } else if (!suspect_) {
    suspect_ = true;
    suspect_since_ = now;
  }
  if (suspect_ && !ejected_ && now - suspect_since_ >= limits_.stale_max) {
    ejected_ = true;
    next_probe_ = now + limits_.probe_delay_min;
  }
  if (state_ == ReportedState::kFailed) {
    in_rotation_ = false;
    return Become(WorkerHealth::kEjected, "the worker reports a fault");
  }
  if (ejected_) {
    in_rotation_ = false;
    return Become(WorkerHealth::kEjected, suspect.empty() ? "waiting for a probe" : suspect);
  }
  if (draining_ || state_ == ReportedState::kDraining || state_ == ReportedState::kDrained) {
    in_rotation_ = false;
    return Become(WorkerHealth::kDraining, draining_ ? "drained by an operator" : "draining");
  }
  if (state_ != ReportedState::kServing) {
    in_rotation_ = false;
    return Become(WorkerHealth::kConnecting, "starting");
  }
  if (suspect_) return Become(WorkerHealth::kStale, suspect);
  if (!in_rotation_) {
    in_rotation_ = true;
    in_rotation_since_ = now;
  }
  if (now - in_rotation_since_ < limits_.slow_start) {
    return Become(WorkerHealth::kSlowStart, "came into rotation less than 30 s ago");
  }
  Become(WorkerHealth::kHealthy, {});
}

bool WorkerHealthTracker::TakeProbe(TimePoint now) {
  if (!connected_ || !ejected_ || probing_ || now < next_probe_) return false;
  probing_ = true;
  return true;
}

void WorkerHealthTracker::OnProbe(bool ok, TimePoint now) {
  if (!probing_) return;
  probing_ = false;
  if (ok) {
    ejected_ = false;
    num_failed_probes_ = errors_in_a_row_ = 0;
    // Other reasons to doubt it, if they still stand, start to count anew.
    suspect_ = false;
  } else {
    Duration delay = limits_.probe_delay_min;
    for (int i = 0; i <= num_failed_probes_ && delay < limits_.probe_delay_max; ++i) delay *= 2;
    ++num_failed_probes_;
    next_probe_ = now + std::min(delay, limits_.probe_delay_max);
  }
  Update(now);
}

double WorkerHealthTracker::SlowStartFactor(TimePoint now) const {
  if (!in_rotation_) return 1;
  const double age = ToSeconds(now - in_rotation_since_) / ToSeconds(limits_.slow_start);
  return 1 + 3 * std::clamp(1 - age, 0.0, 1.0);
}

}  // namespace banyan::router
