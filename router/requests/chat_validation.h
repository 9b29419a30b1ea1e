// The ranges of a conversation (ChatPrompt), for Generate and Tokenize alike. Pure.
#pragma once

#include <string>

#include "banyan/v1/inference_service.pb.h"
#include "common/rpc/field_checks.h"

namespace banyan::router {

// `field` is the path of the conversation in its request.
void ValidateChat(const std::string& field, const v1::ChatPrompt& chat, rpc::FieldChecks& checks);

}  // namespace banyan::router
