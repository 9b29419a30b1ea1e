#include "common/rpc/listen_address.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace banyan::rpc {
namespace {

using ::testing::HasSubstr;

TEST(ListenAddressTest, ParsesHostsAndPorts) {
  EXPECT_EQ(ParseListenAddress("127.0.0.1:7080", "--listen")->ToString(), "127.0.0.1:7080");
  EXPECT_EQ(ParseListenAddress(":0", "--listen")->ToString(), "127.0.0.1:0");
  EXPECT_EQ(ParseListenAddress("[::1]:9", "--listen")->ToString(), "[::1]:9");
  EXPECT_EQ(ParseListenAddress("0.0.0.0:65535", "--listen")->port, 65535);
}

TEST(ListenAddressTest, BadAddressesNameFlagAndValue) {
  for (const char* bad : {"", "7080", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
                          "127.0.0.1:70x", "::1:80", "a b:1", "a/b:1"}) {
    const auto address = ParseListenAddress(bad, "--listen");
    ASSERT_FALSE(address.ok()) << bad;
    EXPECT_THAT(std::string(address.status().message()), HasSubstr("--listen: "));
    EXPECT_THAT(std::string(address.status().message()), HasSubstr(std::string("\"") + bad));
  }
}

TEST(ListenAddressTest, OnlyLoopbackIsLoopback) {
  for (const char* host : {"127.0.0.1", "127.8.8.8", "::1", "localhost"}) {
    EXPECT_TRUE((ListenAddress{host, 1}.IsLoopback())) << host;
  }
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "example.com", "12.7.0.1"}) {
    EXPECT_FALSE((ListenAddress{host, 1}.IsLoopback())) << host;
  }
}

TEST(ListenAddressTest, ForeignAddressesAreExplained) {
  EXPECT_THAT(std::string(ExplainBindFailure({"192.0.2.1", 0}, "worker port").message()),
              HasSubstr("192.0.2.1:0 is no address of this machine"));
}

}  // namespace
}  // namespace banyan::rpc
