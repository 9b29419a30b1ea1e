#include "common/rpc/build_info.h"

namespace banyan::rpc {

// Both macros come from this folder's CMakeLists.txt.
std::string_view BuildVersion() { return BANYAN_VERSION; }
std::string_view BuildCommit() { return BANYAN_COMMIT; }

std::string FullVersion() {
  std::string version(BuildVersion());
  if (BuildCommit() != "unknown") version += "+g" + std::string(BuildCommit());
  return version;
}

}  // namespace banyan::rpc
