// banyan workers, models, explain, drain: short questions to one router.
#include <google/protobuf/util/json_util.h>

#include <chrono>
#include <cstdio>
#include <functional>

#include "absl/strings/str_format.h"
#include "banyan/v1/cluster_service.grpc.pb.h"
#include "banyan/v1/inference_service.grpc.pb.h"
#include "cli/command.h"
#include "cli/generation_options.h"
#include "common/rpc/channel.h"
#include "common/rpc/command_line.h"
#include "common/rpc/errors.h"
#include "grpcpp/client_context.h"

namespace banyan::cli {
namespace {

constexpr std::chrono::seconds kCallTimeout{10};

// Calls that stream progress may take as long as the drain itself.
void SetDeadline(grpc::ClientContext& context, std::chrono::seconds timeout) {
  context.set_deadline(std::chrono::system_clock::now() + timeout);
}

void PrintJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  if (google::protobuf::util::MessageToJsonString(message, &text, options).ok())
    std::fputs(text.c_str(), stdout);
}

std::unique_ptr<v1::ClusterService::Stub> Admin(const std::string& address) {
  return v1::ClusterService::NewStub(rpc::CreateChannel(address, rpc::ChannelProfile::kClient));
}

void AddAdminOption(rpc::OptionTable& table, std::string& admin) {
  table.Text("admin", "HOST:PORT", admin, "The router's admin port.");
}

// "WORKER_HEALTH_SLOW_START" -> "slow_start"
std::string HealthName(v1::WorkerHealth health) {
  std::string name =
      v1::WorkerHealth_Name(health).substr(std::string_view("WORKER_HEALTH_").size());
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

void PrintWorker(const v1::Worker& worker) {
  const v1::WatchLoadResponse& load = worker.load();
  const double kv =
      load.kv_blocks_total() == 0 ? 0.0 : 100.0 * load.kv_blocks_used() / load.kv_blocks_total();
  const double hits = load.prefix_lookup_tokens() == 0
                          ? 0.0
                          : 100.0 * static_cast<double>(load.prefix_hit_tokens()) /
                                static_cast<double>(load.prefix_lookup_tokens());
  const std::string id =
      worker.info().worker_id().empty() ? worker.address() : worker.info().worker_id();
  std::printf("%-16s %-21s %-11s %7u %7u %5.1f%% %5.1f%% %8.0f %8llu  %s\n", id.c_str(),
              worker.address().c_str(), HealthName(worker.health()).c_str(),
              load.running_sequences(), load.waiting_requests(), kv, hits,
              static_cast<double>(load.decode_tokens_per_s()),
              static_cast<unsigned long long>(worker.tree_blocks()), worker.info().model().c_str());
  if (!worker.health_reason().empty()) std::printf("  %s\n", worker.health_reason().c_str());
}

}  // namespace

rpc::ExitCode RunWorkers(int argc, const char* const* argv) {
  std::string admin = kDefaultAdminAddress;
  bool json = false;
  rpc::OptionTable table("banyan workers", "Lists the cluster's workers as one router sees them.");
  AddAdminOption(table, admin);
  table.Switch("json", json, "Everything the router knows, as JSON.");
  if (const auto end = rpc::ParseCommandLine("banyan", table, argc, argv)) return *end;
  grpc::ClientContext context;
  SetDeadline(context, kCallTimeout);
  v1::ListWorkersResponse response;
  const grpc::Status status = Admin(admin)->ListWorkers(&context, {}, &response);
  if (!status.ok()) return Fail(rpc::FromGrpcStatus(status));
  if (json) {
    PrintJson(response);
    return rpc::ExitCode::kOk;
  }
  std::printf("%-16s %-21s %-11s %7s %7s %6s %6s %8s %8s  %s\n", "WORKER", "ADDRESS", "HEALTH",
              "RUNNING", "WAITING", "KV", "HITS", "TOK/S", "BLOCKS", "MODEL");
  for (const v1::Worker& worker : response.workers()) PrintWorker(worker);
  return rpc::ExitCode::kOk;
}

rpc::ExitCode RunModels(int argc, const char* const* argv) {
  std::string address = kDefaultAddress;
  bool json = false;
  rpc::OptionTable table("banyan models", "Lists the models that are served.");
  table.Text("address", "HOST:PORT", address, "The router.");
  table.Switch("json", json, "Everything there is, as JSON.");
  if (const auto end = rpc::ParseCommandLine("banyan", table, argc, argv)) return *end;
  grpc::ClientContext context;
  SetDeadline(context, kCallTimeout);
  v1::ListModelsResponse response;
  const auto stub =
      v1::InferenceService::NewStub(rpc::CreateChannel(address, rpc::ChannelProfile::kClient));
  const grpc::Status status = stub->ListModels(&context, {}, &response);
  if (!status.ok()) return Fail(rpc::FromGrpcStatus(status));
  if (json) {
    PrintJson(response);
    return rpc::ExitCode::kOk;
  }
  std::printf("%-32s %-10s %-10s %8s %7s\n", "MODEL", "FAMILY", "WEIGHTS", "CONTEXT", "READY");
  for (const v1::Model& model : response.models()) {
    std::printf("%-32s %-10s %-10s %8u %7u\n", model.name().c_str(), model.architecture().c_str(),
                model.weight_format().c_str(), model.context_length(), model.num_ready_workers());
  }
  return rpc::ExitCode::kOk;
}

rpc::ExitCode RunExplain(int argc, const char* const* argv) {
  std::string admin = kDefaultAdminAddress;
  std::string model;
  std::string message;
  std::string text;
  rpc::OptionTable table("banyan explain",
                         "Shows where a prompt would be sent now, and why; nothing is sent.");
  AddAdminOption(table, admin);
  table.Text("model", "NAME", model, "The model; may be left out where only one is served.");
  table.Text("message", "TEXT", message, "A chat message.");
  table.Positional("TEXT", rpc::OptionTable::Need::kOptional, text, "A plain prompt.");
  if (const auto end = rpc::ParseCommandLine("banyan", table, argc, argv)) return *end;
  if (text.empty() == message.empty()) return FailUsage("explain: give either TEXT or --message");
  v1::ExplainRouteRequest request;
  request.mutable_request()->set_model(model);
  if (message.empty()) {
    request.mutable_request()->set_text(text);
  } else {
    v1::ChatMessage& said = *request.mutable_request()->mutable_chat()->add_messages();
    said.set_role(v1::CHAT_ROLE_USER);
    said.add_content()->set_text(message);
  }
  grpc::ClientContext context;
  SetDeadline(context, kCallTimeout);
  v1::ExplainRouteResponse response;
  const grpc::Status status = Admin(admin)->ExplainRoute(&context, request, &response);
  if (!status.ok()) return Fail(rpc::FromGrpcStatus(status));
  PrintJson(response);
  return rpc::ExitCode::kOk;
}

rpc::ExitCode RunDrain(int argc, const char* const* argv) {
  std::string admin = kDefaultAdminAddress;
  std::string worker;
  int64_t deadline_s = 30;
  rpc::OptionTable table(
      "banyan drain",
      "Stops admission and waits until nothing runs: a worker, or without one the router.");
  AddAdminOption(table, admin);
  table.Integer("deadline-s", "SECONDS", {0, 86'400}, deadline_s,
                "What still runs then is ended or handed over.");
  table.Positional("WORKER", rpc::OptionTable::Need::kOptional, worker,
                   "Id of the worker; none: the router itself.");
  if (const auto end = rpc::ParseCommandLine("banyan", table, argc, argv)) return *end;
  const auto stub = Admin(admin);
  grpc::ClientContext context;
  SetDeadline(context, std::chrono::seconds(deadline_s) + kCallTimeout);
  const uint32_t deadline_ms = static_cast<uint32_t>(deadline_s * 1000);
  grpc::Status status;
  if (worker.empty()) {
    v1::DrainRouterRequest request;
    request.set_deadline_ms(deadline_ms);
    const auto reader = stub->DrainRouter(&context, request);
    v1::DrainRouterResponse progress;
    while (reader->Read(&progress))
      std::fprintf(stderr, "open streams: %u\n", progress.active_streams());
    status = reader->Finish();
  } else {
    v1::DrainWorkerRequest request;
    request.set_worker_id(worker);
    request.set_deadline_ms(deadline_ms);
    const auto reader = stub->DrainWorker(&context, request);
    v1::DrainWorkerResponse progress;
    while (reader->Read(&progress)) {
      std::fprintf(stderr, "running: %u, waiting: %u, handed over: %u\n",
                   progress.progress().running_sequences(), progress.progress().waiting_requests(),
                   progress.progress().handed_over_requests());
    }
    status = reader->Finish();
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    std::fprintf(stderr, "banyan: the drain ran out of time\n");
    return rpc::ExitCode::kTryLater;
  }
  return status.ok() ? rpc::ExitCode::kOk : Fail(rpc::FromGrpcStatus(status));
}

}  // namespace banyan::cli
