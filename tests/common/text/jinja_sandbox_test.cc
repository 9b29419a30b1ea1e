// What hostile templates can do: nothing but fail, soon and with a message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <string>

#include "common/text/jinja/interpreter.h"
#include "common/text/jinja/json_values.h"
#include "common/text/jinja/parser.h"

namespace banyan::jinja {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<std::string> Render(std::string_view source, const RenderLimits& limits = {}) {
  auto tree = ParseTemplate(source);
  if (!tree.ok()) return tree.status();
  Interpreter interpreter(**tree, limits, std::tm{});
  interpreter.SetVariable("text", TemplateString(interpreter.arena(), std::string(100'000, 'a')));
  TextBuilder out(interpreter.arena(), limits.max_output_bytes);
  if (absl::Status status = interpreter.Run(&out); !status.ok()) return status;
  return out.text();
}

std::string ErrorOf(std::string_view source, const RenderLimits& limits = {}) {
  const auto rendered = Render(source, limits);
  EXPECT_FALSE(rendered.ok()) << source.substr(0, 200) << " rendered " << rendered->size();
  if (rendered.ok()) return "";
  EXPECT_EQ(rendered.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(rendered.status().message());
}

std::string Repeated(std::string_view piece, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) result += piece;
  return result;
}

TEST(JinjaSandboxTest, LongLoopsEndAtTheStepLimit) {
  EXPECT_THAT(ErrorOf("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
                      "{% endfor %}"),
              HasSubstr("limit"));
  EXPECT_THAT(ErrorOf("{% set r = range(5000) %}{% for a in r %}{% for b in r %}{% endfor %}"
                      "{% endfor %}"),
              HasSubstr("steps"));
}

TEST(JinjaSandboxTest, WorkInsideFunctionsCountsAsSteps) {
  EXPECT_THAT(ErrorOf("{% set r = range(90000) %}{% for a in r %}{{ 'b' in text }}{% endfor %}"),
              HasSubstr("steps"));
  EXPECT_THAT(ErrorOf("{% set r = range(90000) %}{% for a in r %}{{ text|length }}{% endfor %}"),
              HasSubstr("steps"));
  EXPECT_THAT(ErrorOf("{% set t = text ~ '' %}{% set r = range(90000) %}"
                      "{% for a in r %}{% if t == text %}{% endif %}{% endfor %}"),
              HasSubstr("steps"));
}

TEST(JinjaSandboxTest, OutputIsBounded) {
  EXPECT_THAT(ErrorOf("{% for a in range(90000) %}{{ text }}{% endfor %}"), HasSubstr("output"));
  EXPECT_THAT(
      ErrorOf("{% for a in range(90000) %}0123456789{% endfor %}", {.max_output_bytes = 1000}),
      HasSubstr("output is longer than the limit of 1000"));
}

TEST(JinjaSandboxTest, MemoryIsBounded) {
  for (const char* source : {
           "{{ 'a' * 10 ** 9 }}",
           "{{ 'a' * 10 ** 18 }}",
           "{{ [1] * 10 ** 9 }}",
           "{{ (1, 2) * 10 ** 30 }}",
           "{{ range(10 ** 12) }}",
           "{{ 'a'|center(10 ** 12) }}",
           "{{ 'a'.ljust(10 ** 12) }}",
           "{{ 'a'.zfill(10 ** 12) }}",
           "{{ 'a\nb'|indent(10 ** 12) }}",
           "{{ '%1000000000000d' % 1 }}",
           "{{ '%*d' % (10 ** 12, 1) }}",
           "{{ '{:1000000000000}'.format(1) }}",
           "{{ [1]|batch(10 ** 12, 0)|list }}",
           "{{ [1]|slice(10 ** 12)|list }}",
           "{{ text.replace('', text) }}",
           "{{ text.split('a')|join(text) }}",
           "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}"
           "{% set ns.l = ns.l + ns.l %}{% endfor %}",
           "{% set ns = namespace(l='a') %}{% for i in range(100) %}"
           "{% set ns.l = ns.l ~ ns.l %}{% endfor %}",
           "{% set ns = namespace(l=[]) %}{% for i in range(60) %}"
           "{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
           "{% set ns = namespace(l=[]) %}{% for i in range(60) %}"
           "{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l|tojson }}",
       }) {
    EXPECT_NE(ErrorOf(source), "") << source;
  }
}

TEST(JinjaSandboxTest, SharedStructuresAreComparedWithinTheStepLimit) {
  // Two equal trees of 2^60 paths each: comparing them naively never ends.
  EXPECT_THAT(ErrorOf("{% set a = namespace(l=[]) %}{% set b = namespace(l=[]) %}"
                      "{% for i in range(60) %}{% set a.l = [a.l, a.l] %}{% set b.l = [b.l, b.l] %}"
                      "{% endfor %}{{ a.l == b.l }}"),
              HasSubstr("limit"));
}

TEST(JinjaSandboxTest, ValuesNestToALimit) {
  EXPECT_THAT(ErrorOf("{% set ns = namespace(l=[]) %}{% for i in range(1000) %}"
                      "{% set ns.l = [ns.l] %}{% endfor %}"),
              HasSubstr("nested deeper"));
}

TEST(JinjaSandboxTest, RecursionIsBounded) {
  EXPECT_THAT(ErrorOf("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), HasSubstr("nested"));
  EXPECT_THAT(ErrorOf("{% macro m(x=m()) %}{% endmacro %}{{ m() }}"), HasSubstr("nested"));
  EXPECT_THAT(ErrorOf("{% macro m() %}{{ caller() }}{% call m() %}{% endcall %}{% endmacro %}"
                      "{% call m() %}{% endcall %}"),
              HasSubstr("nested"));
  EXPECT_THAT(ErrorOf("{% set l = [1] %}{% for x in l recursive %}{{ loop(l) }}{% endfor %}"),
              HasSubstr("nested"));
  EXPECT_THAT(ErrorOf("{% macro m() %}{{ [m()]|map('upper')|list }}{% endmacro %}{{ m() }}",
                      {.max_depth = 10}),
              HasSubstr("limit of 10"));
}

TEST(JinjaSandboxTest, DeepNestingIsRefusedByTheParser) {
  constexpr int kDeep = 100'000;
  EXPECT_THAT(ErrorOf("{{ " + Repeated("(", kDeep) + "1" + Repeated(")", kDeep) + " }}"),
              HasSubstr("nested deeper"));
  EXPECT_THAT(ErrorOf("{{ " + Repeated("[", kDeep) + Repeated("]", kDeep) + " }}"),
              HasSubstr("nested deeper"));
  EXPECT_THAT(ErrorOf("{{ " + Repeated("{1:", kDeep) + "1" + Repeated("}", kDeep) + " }}"),
              HasSubstr("nested deeper"));
  EXPECT_THAT(ErrorOf("{{ " + Repeated("not ", kDeep) + "1 }}"), HasSubstr("nested deeper"));
  EXPECT_THAT(ErrorOf("{{ " + Repeated("-", kDeep) + "1 }}"), HasSubstr("nested deeper"));
  EXPECT_THAT(ErrorOf("{{ " + Repeated("0 if 0 else ", kDeep / 2) + "1 }}"),
              HasSubstr("nested deeper"));
  EXPECT_THAT(ErrorOf(Repeated("{% if 1 %}", kDeep)), HasSubstr("nested deeper"));
  EXPECT_THAT(ErrorOf("{% for " + Repeated("(", kDeep) + "a" + Repeated(")", kDeep) + " in a %}"),
              HasSubstr("nested deeper"));
  EXPECT_THAT(ErrorOf("{{ a" + Repeated("[a", kDeep) + Repeated("]", kDeep) + " }}"),
              HasSubstr("nested deeper"));
  EXPECT_THAT(ErrorOf("{{ a" + Repeated("(a", kDeep) + Repeated(")", kDeep) + " }}"),
              HasSubstr("nested deeper"));
}

TEST(JinjaSandboxTest, UnclosedTagsAreRefusedAtAnyDepth) {
  for (const char* piece : {"(", "[", "{", "{{", "{%", "{#", "{% raw %}", "{% if (", "'", "a|"}) {
    EXPECT_NE(ErrorOf("{{ " + Repeated(piece, 100'000)), "") << piece;
  }
}

TEST(JinjaSandboxTest, LongChainsDoNotExhaustTheStack) {
  constexpr int kLong = 100'000;
  EXPECT_THAT(ErrorOf("{{ 1" + Repeated("+1", kLong) + " }}"), HasSubstr("nested deeper"));
  EXPECT_THAT(ErrorOf("{{ none" + Repeated(".a", kLong) + " }}"), HasSubstr("nested deeper"));
  EXPECT_THAT(ErrorOf("{{ 'a'" + Repeated("|e", kLong) + " }}"), HasSubstr("nested deeper"));
  EXPECT_THAT(ErrorOf("{% filter e" + Repeated("|e", kLong) + " %}{% endfilter %}"),
              HasSubstr("nested deeper"));
  // Chains that need no stack work at any length.
  EXPECT_EQ(*Render("{{ 1" + Repeated(" and 1", kLong) + " }}"), "1");
  EXPECT_EQ(Render("{{ 1" + Repeated("~1", kLong) + " }}")->size(), kLong + 1u);
  EXPECT_EQ(*Render("{% if 0 %}" + Repeated("{% elif 0 %}", kLong / 2) + "{% endif %}"), "");
}

TEST(JinjaSandboxTest, OversizedTemplatesAreRefused) {
  EXPECT_THAT(ErrorOf(std::string(kTemplateBytesMax + 1, 'a')), HasSubstr("larger than"));
}

TEST(JinjaSandboxTest, NothingIsReachableButTheGivenVariables) {
  for (const char* source :
       {"{% include 'a' %}", "{% import 'a' as b %}", "{% from 'a' import b %}",
        "{% extends 'a' %}", "{% block a %}{% endblock %}", "{{ ''.__class__.__mro__ }}",
        "{{ open('a') }}", "{{ self._TemplateReference__context }}", "{{ lipsum.__globals__.os }}",
        "{{ cycler.__init__.__globals__ }}", "{{ [].append(1) }}", "{{ {}.update({}) }}",
        "{{ 'a'.__class__() }}"}) {
    EXPECT_NE(ErrorOf(source), "") << source;
  }
}

TEST(JinjaSandboxTest, IntegersThatDoNotFitAreErrors) {
  EXPECT_THAT(ErrorOf("{{ 10 ** 100 }}"), HasSubstr("too large"));
  EXPECT_THAT(ErrorOf("{{ 10 ** 10 ** 10 }}"), HasSubstr("too large"));
  EXPECT_THAT(ErrorOf("{{ 10 ** 30 * 10 ** 30 }}"), HasSubstr("too large"));
  EXPECT_THAT(ErrorOf("{{ 1" + Repeated("0", 100) + " }}"), HasSubstr("bad integer"));
  EXPECT_EQ(*Render("{{ 2 ** 64 }} {{ -(2 ** 63) // -1 }} {{ 18446744073709551615 + 1 }}"),
            "18446744073709551616 9223372036854775808 18446744073709551616");
  EXPECT_EQ(*Render("{{ (-(2 ** 126) * 2) % -1 }}"), "0");
}

TEST(JinjaSandboxTest, CyclesThroughNamespacesLeakNothing) {
  EXPECT_EQ(*Render("{% set ns = namespace() %}{% set ns.self = ns %}{% set ns.l = [ns] %}"
                    "{{ ns.self.self.l|length }}"),
            "1");
}

TEST(JinjaSandboxTest, InvalidUtf8IsCarriedThrough) {
  EXPECT_EQ(*Render("{{ 'a\xFF\x80z'|upper }}{{ '\xE2\x82'|length }}{{ '\xFF'[0] }}"),
            "A\xFF\x80Z2\xFF");
}

TEST(JinjaSandboxTest, AMacroSeesItsLoopTurnAfterTheLoop) {
  EXPECT_EQ(*Render("{% set ns = namespace(f=none) %}{% for i in [1, 2] %}"
                    "{% macro f() %}{{ i }}{% endmacro %}{% if loop.first %}{% set ns.f = f %}"
                    "{% endif %}{% endfor %}{{ ns.f() }}"),
            "1");
}

}  // namespace
}  // namespace banyan::jinja
