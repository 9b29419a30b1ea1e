// banyan generate: continue a text.
#include <cstdio>
#include <iostream>
#include <iterator>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/generation_options.h"
#include "common/rpc/channel.h"
#include "common/rpc/command_line.h"

namespace banyan::cli {

rpc::ExitCode RunGenerate(int argc, const char* const* argv) {
  ClientOptions client;
  GenerationOptions generation;
  std::string text;
  rpc::OptionTable table("banyan generate", "Continues a text, without a chat template.");
  table.Positional("TEXT", rpc::OptionTable::Need::kRequired, text,
                   "The text to continue; - reads it from stdin.");
  client.AddTo(table);
  generation.AddTo(table);
  table.Example("banyan generate \"Once upon a time\" --max-tokens 64", "stream a story");
  table.Example("banyan generate --json --logprobs 2 \"1 + 1 =\" --max-tokens 1",
                "tokens with probabilities");
  if (const auto end = rpc::ParseCommandLine("banyan", table, argc, argv)) return *end;
  if (text == "-") text.assign(std::istreambuf_iterator<char>(std::cin), {});
  v1::GenerateRequest request;
  request.set_model(client.model);
  request.set_text(text);
  if (const absl::Status status = generation.Apply(request); !status.ok()) {
    return FailUsage(std::string(status.message()));
  }
  const auto stub = v1::InferenceService::NewStub(
      rpc::CreateChannel(client.address, rpc::ChannelProfile::kClient));
  Answer answer;
  const absl::Status status =
      Stream(*stub, request, client.timeout_s,
             generation.json ? StreamTo::kNothing : StreamTo::kStdout, answer);
  if (!generation.json) std::putchar('\n');
  if (!status.ok()) return Fail(status);
  if (generation.json) std::fputs(answer.ToJson().c_str(), stdout);
  return rpc::ExitCode::kOk;
}

}  // namespace banyan::cli
