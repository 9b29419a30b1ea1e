// Keeps gRPC's callback threads for the life of the process. Thread-safe.
#pragma once

namespace banyan::rpc {

// gRPC 1.51 counts the users (servers and channels of the callback API) of one shared completion
// queue, and joins its threads when the last one goes. A thread that is still leaving that queue
// then touches freed memory ("assertion failed: prior > 0" in ref_counted.h, aborting the process).
// After this call there is always one user, so that the queue is never taken down. Server::Start
// and CreateChannel call it; it costs one channel that leads nowhere.
void KeepCallbackThreads();

}  // namespace banyan::rpc
