#include "common/text/text_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/gzip.h"
#include "tests/testing/paths.h"

namespace banyan {
namespace {

TextAssets SmolLm2Assets() {
  const auto json = testing::GoldenDir() / "tokenizers" / "smollm2" / "tokenizer.json.gz";
  return {{{"tokenizer.json", testing::ReadGzip(json)}}};
}

std::string Render(const TextModel& model) {
  ChatInput input;
  ChatMessage message;
  message.role = "user";
  message.content = "hi";
  input.messages.push_back(message);
  return model.chat_template->Render(input).value().text;
}

TEST(TextModelTest, TakesTheTemplateOfTheNameDefault) {
  TextAssets assets = SmolLm2Assets();
  assets.assets.push_back({"tokenizer_config.json", R"({
      "bos_token": {"content": "<B>"}, "eos_token": "<E>",
      "chat_template": [{"name": "tools", "template": "no"},
                        {"name": "default", "template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"}]})"});
  assets.assets.push_back({"generation_config.json", R"({"temperature": 0.5, "top_k": 7})"});
  const auto model = TextModel::Load(assets);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(Render(**model), "<B>hi<E>");
  EXPECT_EQ((*model)->generation_defaults.temperature, 0.5f);
  EXPECT_EQ((*model)->generation_defaults.top_k, 7);
  EXPECT_EQ((*model)->tokenizer->vocabulary_size(), 49152);
}

TEST(TextModelTest, TheFileOfItsOwnComesBeforeTheConfig) {
  TextAssets assets = SmolLm2Assets();
  assets.assets.push_back({"chat_template.jinja", "file"});
  assets.assets.push_back({"tokenizer_config.json", R"({"chat_template": "config"})"});
  const auto model = TextModel::Load(assets);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(Render(**model), "file");
}

TEST(TextModelTest, ABaseModelHasNoTemplate) {
  const auto model = TextModel::Load(SmolLm2Assets());
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_FALSE((*model)->chat_template.has_value());
}

TEST(TextModelTest, ErrorsNameAssetAndKey) {
  TextAssets assets = SmolLm2Assets();
  assets.assets.push_back({"tokenizer_config.json", R"({"chat_template": 5})"});
  EXPECT_THAT(std::string(TextModel::Load(assets).status().message()),
              ::testing::HasSubstr("tokenizer_config.json: chat_template: expected"));
}

}  // namespace
}  // namespace banyan
