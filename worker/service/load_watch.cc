#include "worker/service/load_watch.h"

#include <algorithm>

namespace banyan::worker {
namespace {

Duration IntervalOf(const v1::WatchLoadRequest& request) {
  const uint32_t ms = request.interval_ms() == 0 ? kLoadIntervalDefaultMs : request.interval_ms();
  return std::chrono::milliseconds(ms);
}

uint64_t Microseconds(Duration duration) {
  return static_cast<uint64_t>(std::max<int64_t>(ToMicroseconds(duration), 0));
}

}  // namespace

v1::WorkerState ToWire(EngineState state) {
  switch (state) {
    case EngineState::kServing:
      return v1::WORKER_STATE_SERVING;
    case EngineState::kDraining:
      return v1::WORKER_STATE_DRAINING;
    case EngineState::kDrained:
      return v1::WORKER_STATE_DRAINED;
    case EngineState::kFailed:
      return v1::WORKER_STATE_FAILED;
  }
  return v1::WORKER_STATE_UNSPECIFIED;
}

LoadWatch::LoadWatch(ServiceContext& service, const v1::WatchLoadRequest& request)
    : WatchStream(service.hub, service.clock),
      service_(service),
      router_id_(request.router_id()),
      interval_(IntervalOf(request)) {}

LoadWatch::~LoadWatch() { --service_.load_watchers; }

WatchStep LoadWatch::Next(TimePoint now, v1::WatchLoadResponse& message) {
  const EngineStats stats = service_.engine.Stats();
  if (last_report_.has_value() && stats.state == last_state_) {
    const Duration age = now - *last_report_;
    const Duration due =
        stats.steps != last_steps_ ? interval_ : std::max(interval_, kHubIdlePeriod);
    if (age < due) return {.wait = due - age};
  }
  last_report_ = now;
  last_steps_ = stats.steps;
  last_state_ = stats.state;
  message.set_dispatch_sequence_seen(service_.dispatches.Seen(router_id_, stats.heartbeats));
  message.set_sequence(++sequence_);
  Fill(stats, now, message);
  return {.action = WatchStep::Action::kWrite, .wait = interval_};
}

void LoadWatch::Fill(const EngineStats& stats, TimePoint now,
                     v1::WatchLoadResponse& message) const {
  const auto count = [](int64_t value) {
    return static_cast<uint32_t>(std::max<int64_t>(value, 0));
  };
  message.set_epoch(service_.identity.epoch);
  message.set_state(ToWire(stats.state));
  message.set_heartbeats(stats.heartbeats);
  message.set_steps(stats.steps);
  if (stats.steps > 0) message.set_since_step_us(Microseconds(now - stats.last_step_end));
  message.set_running_sequences(count(stats.running_sequences));
  message.set_waiting_requests(count(stats.waiting_requests));
  message.set_waiting_prefill_tokens(
      static_cast<uint64_t>(std::max<int64_t>(stats.waiting_prefill_tokens, 0)));
  message.set_oldest_waiting_us(Microseconds(stats.oldest_waiting));
  message.set_kv_blocks_total(count(stats.blocks_total));
  message.set_kv_blocks_used(count(stats.blocks_used));
  message.set_kv_blocks_cached(count(stats.blocks_cached));
  message.set_prefill_tokens_per_s(static_cast<float>(stats.prefill_tokens_per_s));
  message.set_decode_tokens_per_s(static_cast<float>(stats.decode_tokens_per_s));
  message.set_decode_step_us(static_cast<uint32_t>(std::clamp(stats.decode_step_us, 0.0, 4e9)));
  message.set_tokens_per_step(1);
  message.set_requests_finished(stats.requests_finished);
  message.set_preemptions(stats.preemptions);
  message.set_prefix_lookup_tokens(stats.prefix_lookup_tokens);
  message.set_prefix_hit_tokens(stats.prefix_hit_tokens);
  v1::StepCost& cost = *message.mutable_step_cost();
  cost.set_base_us(static_cast<float>(stats.step_cost.base_us));
  cost.set_per_prefill_token_us(static_cast<float>(stats.step_cost.per_prefill_token_us));
  cost.set_per_sequence_us(static_cast<float>(stats.step_cost.per_sequence_us));
  cost.set_per_kv_token_us(static_cast<float>(stats.step_cost.per_kv_token_us));
  message.set_decoding_sequences(count(stats.decoding_sequences));
  message.set_decoding_kv_tokens(
      static_cast<uint64_t>(std::max<int64_t>(stats.decoding_kv_tokens, 0)));
  message.set_kv_blocks_wanted(count(stats.blocks_wanted));
  message.set_kv_blocks_freed_per_s(static_cast<float>(stats.blocks_freed_per_s));
  message.set_requests_finished_per_s(static_cast<float>(stats.requests_finished_per_s));
  message.set_step_tokens_max(count(service_.identity.max_step_tokens));
  message.set_running_sequences_max(count(service_.identity.max_running_sequences));
  message.set_num_routers(count(service_.load_watchers.load()));
}

}  // namespace banyan::worker
