// Every template of tests/golden/chat_templates over every conversation, against what Hugging Face
// transformers renders; and small templates for single features against Jinja2.
#include <gtest/gtest.h>
#include <simdjson.h>

#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include "common/text/chat_context.h"
#include "common/text/jinja/interpreter.h"
#include "common/text/jinja/json_values.h"
#include "common/text/jinja/parser.h"
#include "tests/testing/paths.h"

namespace banyan {
namespace {

using simdjson::dom::element;

std::string Json(const element& value) { return simdjson::to_string(value); }
std::string Text(const element& value) { return std::string(value.get_string().value()); }

// "2026-07-04T09:08:07", a Saturday.
std::tm GoldenNow() {
  std::tm now{};
  strptime("2026-07-04T09:08:07", "%Y-%m-%dT%H:%M:%S", &now);
  return now;
}

// Refusals of templates themselves must be passed on word by word; Python's own errors need only be
// some error.
void ExpectRefused(const absl::Status& status, const std::string& golden) {
  ASSERT_FALSE(status.ok()) << "should be refused: " << golden;
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  constexpr std::string_view kRaised = "TemplateError: ";
  if (golden.starts_with(kRaised)) {
    EXPECT_EQ(std::string(status.message()), golden.substr(kRaised.size()));
  } else {
    EXPECT_FALSE(status.message().empty());
  }
}

class GoldenTemplateTest : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenTemplateTest, RendersAsTransformersDoes) {
  const std::filesystem::path path =
      testing::GoldenDir() / "chat_templates" / (GetParam() + ".json");
  simdjson::dom::parser parser;
  const element golden = parser.load(path.string()).value();
  const auto tree = jinja::ParseTemplate(Text(golden["template"].value()));
  ASSERT_TRUE(tree.ok()) << tree.status();
  const std::string bos = Text(golden["bos_token"].value());
  const std::string eos = Text(golden["eos_token"].value());
  size_t num_cases = 0;
  const simdjson::dom::array cases = golden["cases"].get_array().value();
  for (const element c : cases) {
    ++num_cases;
    SCOPED_TRACE(Text(c["name"].value()));
    ChatJson chat;
    chat.messages = Json(c["messages"].value());
    chat.tools = Json(c["tools"].value());
    chat.variables = Json(c["kwargs"].value());
    chat.add_generation_prompt = c["add_generation_prompt"].get_bool().value();
    chat.continue_final_message = c["continue_final_message"].get_bool().value();
    const auto rendered = RenderChat(**tree, chat, {}, {bos, eos, GoldenNow(), {}});
    std::string_view expected;
    if (c["rendered"].get(expected) != simdjson::SUCCESS) {
      ExpectRefused(rendered.status(), Text(c["error"].value()));
      continue;
    }
    if (!rendered.ok()) {
      ADD_FAILURE() << rendered.status();
      continue;
    }
    EXPECT_EQ(rendered->text, expected);
  }
  EXPECT_EQ(num_cases, 59u);
}

INSTANTIATE_TEST_SUITE_P(All, GoldenTemplateTest,
                         ::testing::Values("deepseek_r1_distill_llama", "deepseek_v3", "gemma2",
                                           "gpt_oss", "granite3_3", "hermes2_pro_tools", "llama3_1",
                                           "llama3_1_short", "llama3_2", "mistral_nemo",
                                           "mistral_small_3_2", "phi3_5_mini", "qwen2_5", "qwen3",
                                           "qwen3_0_6b", "qwen3_coder", "qwq_32b", "smollm2",
                                           "smollm3"),
                         [](const auto& test) { return test.param; });

absl::StatusOr<std::string> RenderUnit(std::string_view source, const std::string& context) {
  auto tree = jinja::ParseTemplate(source);
  if (!tree.ok()) return tree.status();
  const RenderLimits limits;
  jinja::Interpreter interpreter(**tree, limits, GoldenNow());
  const auto variables = jinja::ParseJson(interpreter.arena(), context, jinja::Origin::kTemplate);
  if (!variables.ok()) return variables.status();
  for (size_t i = 0; i < variables->dict->size; ++i) {
    const jinja::DictEntry& entry = variables->dict->entries[i];
    interpreter.SetVariable(entry.key.text(), entry.value);
  }
  jinja::TextBuilder out(interpreter.arena(), limits.max_output_bytes);
  if (absl::Status status = interpreter.Run(&out); !status.ok()) return status;
  return out.text();
}

TEST(JinjaUnitsTest, RenderAsJinja2Does) {
  simdjson::dom::parser parser;
  const element golden =
      parser.load((testing::GoldenDir() / "chat_templates" / "jinja_units.json").string()).value();
  const std::string context = Json(golden["context"].value());
  size_t num_cases = 0;
  const simdjson::dom::array cases = golden["cases"].get_array().value();
  for (const element c : cases) {
    ++num_cases;
    const std::string source = Text(c["template"].value());
    SCOPED_TRACE(source);
    const auto rendered = RenderUnit(source, context);
    std::string_view expected;
    if (c["rendered"].get(expected) != simdjson::SUCCESS) {
      ExpectRefused(rendered.status(), Text(c["error"].value()));
      continue;
    }
    if (!rendered.ok()) {
      ADD_FAILURE() << rendered.status();
      continue;
    }
    EXPECT_EQ(*rendered, expected);
  }
  EXPECT_EQ(num_cases, 347u);
}

}  // namespace
}  // namespace banyan
