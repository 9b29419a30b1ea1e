// banyan chat: a conversation, interactive or one message.
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/generation_options.h"
#include "common/rpc/channel.h"
#include "common/rpc/command_line.h"

namespace banyan::cli {
namespace {

void AddMessage(v1::ChatPrompt& chat, v1::ChatRole role, const std::string& text) {
  v1::ChatMessage& message = *chat.add_messages();
  message.set_role(role);
  message.add_content()->set_text(text);
}

// One conversation; keeps its history.
class Conversation {
 public:
  Conversation(const ClientOptions& client, const GenerationOptions& generation,
               v1::GenerateRequest request)
      : client_(client),
        generation_(generation),
        stub_(v1::InferenceService::NewStub(
            rpc::CreateChannel(client.address, rpc::ChannelProfile::kClient))),
        request_(std::move(request)) {}

  // Sends `text`, prints the answer and remembers both. A failed turn leaves the history as it was.
  absl::Status Say(const std::string& text) {
    AddMessage(*request_.mutable_chat(), v1::CHAT_ROLE_USER, text);
    Answer answer;
    const absl::Status status =
        Stream(*stub_, request_, client_.timeout_s,
               generation_.json ? StreamTo::kNothing : StreamTo::kStdout, answer);
    if (!generation_.json) std::putchar('\n');
    if (!status.ok()) {
      request_.mutable_chat()->mutable_messages()->RemoveLast();
      return status;
    }
    if (generation_.json) std::fputs(answer.ToJson().c_str(), stdout);
    AddMessage(*request_.mutable_chat(), v1::CHAT_ROLE_ASSISTANT,
               answer.samples.empty() ? "" : answer.samples[0].text);
    return absl::OkStatus();
  }

  void Forget() {
    auto& messages = *request_.mutable_chat()->mutable_messages();
    const int keep = !messages.empty() && messages[0].role() == v1::CHAT_ROLE_SYSTEM ? 1 : 0;
    messages.DeleteSubrange(keep, messages.size() - keep);
  }

 private:
  const ClientOptions& client_;
  const GenerationOptions& generation_;
  std::unique_ptr<v1::InferenceService::Stub> stub_;
  v1::GenerateRequest request_;
};

rpc::ExitCode Interact(Conversation& conversation) {
  const bool terminal = ::isatty(STDIN_FILENO) != 0;
  if (terminal) std::fprintf(stderr, "Ctrl-D ends, /reset begins anew.\n");
  std::string line;
  while (true) {
    if (terminal) std::fprintf(stderr, "> ");
    if (!std::getline(std::cin, line)) break;
    if (line.empty()) continue;
    if (line == "/reset") {
      conversation.Forget();
      continue;
    }
    if (const absl::Status status = conversation.Say(line); !status.ok()) {
      // A person can try again; a script should stop.
      const rpc::ExitCode code = Fail(status);
      if (!terminal) return code;
    }
  }
  if (terminal) std::fputc('\n', stderr);
  return rpc::ExitCode::kOk;
}

}  // namespace

rpc::ExitCode RunChat(int argc, const char* const* argv) {
  ClientOptions client;
  GenerationOptions generation;
  std::string message;
  std::string system;
  rpc::OptionTable table("banyan chat", "Talks to the model through its chat template.");
  client.AddTo(table);
  table.Section("Conversation");
  table.Text("message", "TEXT", message,
             "Say this, print the answer and end; without it: interactive.");
  table.Text("system", "TEXT", system, "Instructions that open the conversation.");
  generation.AddTo(table);
  table.Example("banyan chat", "talk");
  table.Example("banyan chat --message \"What is the capital of France?\" --temperature 0",
                "ask one thing");
  if (const auto end = rpc::ParseCommandLine("banyan", table, argc, argv)) return *end;
  v1::GenerateRequest request;
  request.set_model(client.model);
  if (const absl::Status status = generation.Apply(request); !status.ok()) {
    return FailUsage(std::string(status.message()));
  }
  request.mutable_chat();
  if (!system.empty()) AddMessage(*request.mutable_chat(), v1::CHAT_ROLE_SYSTEM, system);
  Conversation conversation(client, generation, std::move(request));
  if (message.empty()) return Interact(conversation);
  const absl::Status status = conversation.Say(message);
  return status.ok() ? rpc::ExitCode::kOk : Fail(status);
}

}  // namespace banyan::cli
