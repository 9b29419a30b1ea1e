#include "common/rpc/listen_address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "absl/strings/str_format.h"
#include "common/rpc/errors.h"

namespace banyan::rpc {

std::string ListenAddress::ToString() const {
  const bool bracket = host.find(':') != std::string::npos;
  return bracket ? absl::StrFormat("[%s]:%d", host, port) : absl::StrFormat("%s:%d", host, port);
}

bool ListenAddress::IsLoopback() const {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text, std::string_view flag) {
  const auto fail = [&](std::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: %s, want HOST:PORT, got %s", flag, why, QuoteValue(text)));
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return fail("no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return fail("an IPv6 host needs brackets");
  }
  if (host.size() > 255 || host.find_first_of(" /%@") != std::string_view::npos) {
    return fail("bad host");
  }
  ListenAddress address;
  address.host = host.empty() ? "127.0.0.1" : std::string(host);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc() || end != port.data() + port.size()) {
    return fail("the port is not a number in [0, 65535]");
  }
  return address;
}

absl::Status CheckExposure(const ListenAddress& address, TransportSecurity security) {
  if (security == TransportSecurity::kInsecure || address.IsLoopback()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrFormat("%s is not a loopback address, and this port has neither keys nor TLS: "
                      "listen on 127.0.0.1, or pass --insecure to serve it in plaintext",
                      address.ToString()));
}

absl::Status ProbeListen(const ListenAddress& address, std::string_view what) {
  const std::string name = address.ToString();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int lookup =
      getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (lookup != 0) {
    return absl::UnavailableError(
        absl::StrFormat("%s: cannot resolve host of %s: %s", what, name, gai_strerror(lookup)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> guard(found, &freeaddrinfo);
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return absl::UnavailableError(
        absl::StrFormat("%s: no socket for %s: %s", what, name, std::strerror(errno)));
  }
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  int error = bind(fd, found->ai_addr, found->ai_addrlen) == 0 ? 0 : errno;
  if (error == 0 && listen(fd, 1) != 0) error = errno;
  close(fd);
  switch (error) {
    case 0:
      return absl::OkStatus();
    case EADDRINUSE:
      return absl::UnavailableError(
          absl::StrFormat("%s: %s is in use by another process: stop it (`ss -ltnp 'sport = :%d'` "
                          "names it) or choose another port",
                          what, name, address.port));
    case EACCES:
      return absl::UnavailableError(absl::StrFormat(
          "%s: no permission to listen on %s: choose a port above 1023", what, name));
    case EADDRNOTAVAIL:
      return absl::UnavailableError(
          absl::StrFormat("%s: %s is no address of this machine", what, name));
    default:
      return absl::UnavailableError(
          absl::StrFormat("%s: cannot listen on %s: %s", what, name, std::strerror(error)));
  }
}

absl::Status ExplainBindFailure(const ListenAddress& address, std::string_view what) {
  const absl::Status status = ProbeListen(address, what);
  if (!status.ok()) return status;
  return absl::UnavailableError(
      absl::StrFormat("%s: cannot listen on %s", what, address.ToString()));
}

}  // namespace banyan::rpc
