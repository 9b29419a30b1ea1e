// Which build this is. Thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace banyan::rpc {

std::string_view BuildVersion();  // "0.1.0"
std::string_view BuildCommit();   // short hash, "unknown" outside a repository
// "0.1.0+g1a2b3c4"
std::string FullVersion();

}  // namespace banyan::rpc
