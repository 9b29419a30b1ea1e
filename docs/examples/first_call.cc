// A first call from C++: streams the answer to one question.
//   first_call [HOST:PORT]
#include <grpcpp/grpcpp.h>

#include <iostream>

#include "banyan/v1/inference_service.grpc.pb.h"

int main(int argc, char** argv) {
  const std::string address = argc > 1 ? argv[1] : "127.0.0.1:7070";
  const auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  const auto stub = banyan::v1::InferenceService::NewStub(channel);

  banyan::v1::GenerateRequest request;
  banyan::v1::ChatMessage* message = request.mutable_chat()->add_messages();
  message->set_role(banyan::v1::CHAT_ROLE_USER);
  message->add_content()->set_text("What is the capital of France?");
  request.mutable_sampling()->set_temperature(0);
  request.mutable_sampling()->set_max_tokens(64);

  grpc::ClientContext context;
  const auto reader = stub->Generate(&context, request);
  banyan::v1::GenerateResponse response;
  while (reader->Read(&response)) {
    for (const auto& sample : response.samples()) std::cout << sample.text() << std::flush;
  }
  const grpc::Status status = reader->Finish();
  if (!status.ok()) std::cerr << status.error_message();
  std::cout << std::endl;
  return status.ok() ? 0 : 1;
}
