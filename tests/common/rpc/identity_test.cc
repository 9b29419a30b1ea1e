// Ids, trace context, digests and salts.
#include <set>

#include "common/rpc/build_info.h"
#include "common/rpc/digest.h"
#include "common/rpc/process_stats.h"
#include "common/rpc/request_id.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace banyan::rpc {
namespace {

TEST(RequestIdTest, UuidsAreVersion7AndDistinctAndOrderedByTime) {
  std::set<std::string> seen;
  std::string last;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = NewUuidV7();
    ASSERT_EQ(id.size(), 36u);
    EXPECT_EQ(id[14], '7');
    EXPECT_THAT(std::string("89ab"), ::testing::HasSubstr(std::string(1, id[19])));
    EXPECT_TRUE(IsValidRequestId(id));
    EXPECT_TRUE(seen.insert(id).second);
    EXPECT_LE(last, id.substr(0, 13));
    last = id.substr(0, 13);
  }
}

TEST(RequestIdTest, UuidCarriesTheTimeOfNow) {
  const auto now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  const std::string id = NewUuidV7();
  const int64_t id_ms = std::stoll(id.substr(0, 8) + id.substr(9, 4), nullptr, 16);
  EXPECT_GE(id_ms, now_ms);
  EXPECT_LT(id_ms, now_ms + 60'000);
}

TEST(RequestIdTest, AcceptsOnlyTheDocumentedCharacters) {
  for (const char* good : {"a", "A-b_c.d:9", "0123456789"}) EXPECT_TRUE(IsValidRequestId(good));
  EXPECT_TRUE(IsValidRequestId(std::string(64, 'x')));
  for (const char* bad : {"", " ", "a b", "a/b", "\xc3\xa9", "a\n", "a\""}) {
    EXPECT_FALSE(IsValidRequestId(bad)) << bad;
  }
  EXPECT_FALSE(IsValidRequestId(std::string(65, 'x')));
}

TEST(TraceParentTest, PassesOnAndMakesChildren) {
  const std::string header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const auto parent = ParseTraceParent(header);
  ASSERT_TRUE(parent.has_value());
  EXPECT_EQ(parent->ToString(), header);
  EXPECT_EQ(parent->flags, 1);
  const TraceParent child = parent->Child();
  EXPECT_EQ(child.trace_id, parent->trace_id);
  EXPECT_NE(child.span_id, parent->span_id);
  EXPECT_TRUE(ParseTraceParent(child.ToString()).has_value());
}

TEST(TraceParentTest, DropsWhatIsInvalid) {
  for (const char* bad : {"", "00", "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                          "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                          "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                          "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                          "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
                          "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}) {
    EXPECT_FALSE(ParseTraceParent(bad).has_value()) << bad;
  }
  EXPECT_TRUE(
      ParseTraceParent("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").has_value());
}

std::string Hex(const std::string& bytes) {
  std::string hex;
  for (const char c : bytes) {
    char two[3];
    std::snprintf(two, sizeof(two), "%02x", static_cast<unsigned char>(c));
    hex += two;
  }
  return hex;
}

// FIPS 180-4's examples.
TEST(DigestTest, Sha256MatchesTheStandard) {
  EXPECT_EQ(Hex(Sha256Of("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex(Sha256Of("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256().Update("a").Update("bc").FinishHex(), "ba7816bf8f01cfea414140de5dae2223");
}

TEST(DigestTest, FieldsCannotRunIntoEachOther) {
  EXPECT_NE(Sha256().UpdateField("a").UpdateField("bc").FinishHex(),
            Sha256().UpdateField("ab").UpdateField("c").FinishHex());
}

// Computed with Python's hmac over the same length-prefixed fields.
TEST(DigestTest, SaltIsTheDocumentedHmac) {
  EXPECT_EQ(DeriveCacheSalt("secret", "tenant", "00112233445566778899aabbccddeeff", "salt").ToHex(),
            "ddeebe64b29177dfb763f70bf210b774");
}

TEST(DigestTest, SaltSeparatesSecretTenantModelAndClient) {
  std::set<std::string> salts;
  salts.insert(DeriveCacheSalt("s", "t", "m", "c").ToHex());
  salts.insert(DeriveCacheSalt("S", "t", "m", "c").ToHex());
  salts.insert(DeriveCacheSalt("s", "T", "m", "c").ToHex());
  salts.insert(DeriveCacheSalt("s", "t", "M", "c").ToHex());
  salts.insert(DeriveCacheSalt("s", "t", "m", "C").ToHex());
  salts.insert(DeriveCacheSalt("s", "tm", "", "c").ToHex());
  EXPECT_EQ(salts.size(), 6u);
}

TEST(DigestTest, NoSecretIsTheZeroSecret) {
  EXPECT_EQ(DeriveCacheSalt("", "t", "m", "c"),
            DeriveCacheSalt(std::string(32, '\0'), "t", "m", "c"));
}

TEST(BuildInfoTest, VersionBeginsTheFullVersion) {
  EXPECT_FALSE(BuildVersion().empty());
  EXPECT_FALSE(BuildCommit().empty());
  EXPECT_TRUE(FullVersion().starts_with(std::string(BuildVersion())));
}

TEST(ProcessStatsTest, MemoryOfTheMachineIsKnown) { EXPECT_GT(AvailableMemoryBytes(), 0); }

}  // namespace
}  // namespace banyan::rpc
