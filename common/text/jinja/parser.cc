#include "common/text/jinja/parser.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "common/base/status_macros.h"
#include "common/text/jinja/expression_parser.h"
#include "common/text/jinja/lexer.h"
#include "common/text/jinja/token_cursor.h"

namespace banyan::jinja {
namespace {

using EndNames = std::initializer_list<std::string_view>;

class StatementParser {
 public:
  StatementParser(std::vector<Token> tokens, Template& tree)
      : cursor_(std::move(tokens)), tree_(tree), expressions_(cursor_, tree) {}

  absl::StatusOr<Block> ParseAll() { return ParseBlock({}); }

 private:
  // Statements up to `{% NAME` of one of the end names, which is left as the current token; with no
  // end names, up to the end of the template.
  absl::StatusOr<Block> ParseBlock(EndNames ends) {
    return expressions_.Nested([&] { return ParseStatements(ends); });
  }

  absl::StatusOr<Block> ParseStatements(EndNames ends) {
    Block block;
    while (true) {
      const int32_t line = cursor_.line();
      if (cursor_.Is(TokenType::kEnd)) {
        if (ends.size() == 0) return block;
        return cursor_.Fail(
            absl::StrFormat("unexpected end of template, expected '%s'", *(ends.end() - 1)));
      }
      if (cursor_.Is(TokenType::kText)) {
        Stmt* text = tree_.NewStmt(Stmt::Kind::kText, line);
        text->text = tree_.NewText(cursor_.current().text);
        block.push_back(text);
        cursor_.Advance();
      } else if (cursor_.Skip(TokenType::kOutputBegin)) {
        Stmt* output = tree_.NewStmt(Stmt::Kind::kOutput, line);
        BANYAN_ASSIGN_OR_RETURN(output->expression,
                                expressions_.ParseTuple(ExpressionParser::Conditional::kYes));
        BANYAN_RETURN_IF_ERROR(cursor_.Expect(TokenType::kOutputEnd));
        block.push_back(output);
      } else {
        BANYAN_RETURN_IF_ERROR(cursor_.Expect(TokenType::kBlockBegin));
        if (cursor_.Is(TokenType::kName) &&
            std::find(ends.begin(), ends.end(), cursor_.current().text) != ends.end()) {
          return block;
        }
        BANYAN_RETURN_IF_ERROR(ParseStatement(&block));
      }
    }
  }

  // `%} ... {% NAME %}`, where the last of the names closes.
  absl::StatusOr<Block> ParseBody(std::string_view end_name) {
    BANYAN_RETURN_IF_ERROR(EndTag());
    BANYAN_ASSIGN_OR_RETURN(Block block, ParseBlock({end_name}));
    cursor_.Advance();
    BANYAN_RETURN_IF_ERROR(cursor_.Expect(TokenType::kBlockEnd));
    return block;
  }

  absl::Status EndTag() {
    cursor_.SkipOperator(":");
    return cursor_.Expect(TokenType::kBlockEnd);
  }

  absl::Status ParseStatement(Block* block) {
    const Token token = cursor_.current();
    if (token.type != TokenType::kName) {
      return cursor_.Fail(absl::StrFormat("expected a statement, got %s", DescribeToken(token)));
    }
    cursor_.Advance();
    absl::StatusOr<Stmt*> stmt = nullptr;
    if (token.text == "if") {
      stmt = ParseIf(token.line);
    } else if (token.text == "for") {
      stmt = ParseFor(token.line);
    } else if (token.text == "set") {
      stmt = ParseSet(token.line);
    } else if (token.text == "macro") {
      stmt = ParseMacro(token.line);
    } else if (token.text == "call") {
      stmt = ParseCallBlock(token.line);
    } else if (token.text == "filter") {
      stmt = ParseFilterBlock(token.line);
    } else if (token.text == "with") {
      stmt = ParseWith(token.line);
    } else if (token.text == "generation") {
      stmt = ParseGeneration(token.line);
    } else if (token.text == "print") {
      stmt = ParsePrint(token.line);
    } else if (token.text == "break" || token.text == "continue") {
      stmt = ParseJump(token);
    } else {
      return cursor_.Fail(absl::StrFormat("unknown statement '%s'", token.text));
    }
    if (!stmt.ok()) return stmt.status();
    block->push_back(*stmt);
    return absl::OkStatus();
  }

  absl::StatusOr<Stmt*> ParseIf(int32_t line) {
    Stmt* stmt = tree_.NewStmt(Stmt::Kind::kIf, line);
    while (true) {
      BANYAN_ASSIGN_OR_RETURN(Expr * condition,
                              expressions_.ParseTuple(ExpressionParser::Conditional::kNo));
      BANYAN_RETURN_IF_ERROR(EndTag());
      BANYAN_ASSIGN_OR_RETURN(Block body, ParseConditionalBlock({"elif", "else", "endif"}));
      stmt->branches.push_back({condition, std::move(body)});
      if (cursor_.SkipName("elif")) continue;
      if (cursor_.SkipName("else")) {
        BANYAN_RETURN_IF_ERROR(EndTag());
        BANYAN_ASSIGN_OR_RETURN(stmt->else_body, ParseConditionalBlock({"endif"}));
      }
      cursor_.Advance();  // endif
      BANYAN_RETURN_IF_ERROR(cursor_.Expect(TokenType::kBlockEnd));
      return stmt;
    }
  }

  absl::StatusOr<Block> ParseConditionalBlock(EndNames ends) {
    expressions_.EnterConditional();
    absl::StatusOr<Block> block = ParseBlock(ends);
    expressions_.LeaveConditional();
    return block;
  }

  absl::StatusOr<Stmt*> ParseFor(int32_t line) {
    Stmt* stmt = tree_.NewStmt(Stmt::Kind::kFor, line);
    BANYAN_ASSIGN_OR_RETURN(stmt->target, ParseTarget("in"));
    BANYAN_RETURN_IF_ERROR(cursor_.ExpectName("in"));
    BANYAN_ASSIGN_OR_RETURN(
        stmt->expression, expressions_.ParseTuple(ExpressionParser::Conditional::kNo, "recursive"));
    if (cursor_.SkipName("if")) {
      BANYAN_ASSIGN_OR_RETURN(stmt->filter, expressions_.ParseExpression());
    }
    stmt->recursive = cursor_.SkipName("recursive");
    BANYAN_RETURN_IF_ERROR(EndTag());
    ++loop_depth_;
    absl::StatusOr<Block> body = ParseBlock({"else", "endfor"});
    --loop_depth_;
    if (!body.ok()) return body.status();
    stmt->body = *std::move(body);
    if (cursor_.SkipName("else")) {
      BANYAN_RETURN_IF_ERROR(EndTag());
      BANYAN_ASSIGN_OR_RETURN(stmt->else_body, ParseBlock({"endfor"}));
    }
    cursor_.Advance();  // endfor
    BANYAN_RETURN_IF_ERROR(cursor_.Expect(TokenType::kBlockEnd));
    return stmt;
  }

  absl::StatusOr<Target> ParseOneTarget() {
    Target target;
    target.line = cursor_.line();
    if (cursor_.IsOperator("(")) {
      cursor_.Advance();
      BANYAN_ASSIGN_OR_RETURN(target, expressions_.Nested([this] { return ParseTarget(""); }));
      BANYAN_RETURN_IF_ERROR(cursor_.ExpectOperator(")"));
      return target;
    }
    const Token token = cursor_.current();
    BANYAN_RETURN_IF_ERROR(cursor_.Expect(TokenType::kName));
    static constexpr std::string_view kConstants[] = {"true", "false", "none",
                                                      "True", "False", "None"};
    if (std::find(std::begin(kConstants), std::end(kConstants), token.text) !=
        std::end(kConstants)) {
      return cursor_.Fail(absl::StrFormat("cannot assign to '%s'", token.text));
    }
    target.symbol = tree_.Intern(token.text);
    if (cursor_.SkipOperator(".")) {
      target.kind = Target::Kind::kAttribute;
      target.attribute = tree_.NewText(cursor_.current().text)->view();
      BANYAN_RETURN_IF_ERROR(cursor_.Expect(TokenType::kName));
    }
    return target;
  }

  absl::StatusOr<Target> ParseTarget(std::string_view end_name) {
    BANYAN_ASSIGN_OR_RETURN(Target first, ParseOneTarget());
    if (!cursor_.IsOperator(",")) return first;
    Target tuple;
    tuple.kind = Target::Kind::kTuple;
    tuple.line = first.line;
    tuple.items.push_back(std::move(first));
    while (cursor_.SkipOperator(",")) {
      if (cursor_.IsOperator(")") || (!end_name.empty() && cursor_.IsName(end_name))) break;
      BANYAN_ASSIGN_OR_RETURN(Target item, ParseOneTarget());
      tuple.items.push_back(std::move(item));
    }
    return tuple;
  }

  absl::StatusOr<Stmt*> ParseSet(int32_t line) {
    Stmt* stmt = tree_.NewStmt(Stmt::Kind::kSet, line);
    BANYAN_ASSIGN_OR_RETURN(stmt->target, ParseTarget(""));
    if (cursor_.SkipOperator("=")) {
      BANYAN_ASSIGN_OR_RETURN(stmt->expression,
                              expressions_.ParseTuple(ExpressionParser::Conditional::kYes));
      BANYAN_RETURN_IF_ERROR(cursor_.Expect(TokenType::kBlockEnd));
      return stmt;
    }
    stmt->kind = Stmt::Kind::kSetBlock;
    BANYAN_ASSIGN_OR_RETURN(stmt->expression, expressions_.ParseFilterChain(nullptr, false));
    BANYAN_ASSIGN_OR_RETURN(stmt->body, ParseBody("endset"));
    return stmt;
  }

  // `(a, b=1)`.
  absl::Status ParseSignature(MacroDefinition* macro) {
    BANYAN_RETURN_IF_ERROR(cursor_.ExpectOperator("("));
    while (!cursor_.IsOperator(")")) {
      MacroDefinition::Parameter parameter{};
      parameter.symbol = tree_.Intern(cursor_.current().text);
      parameter.name = tree_.NameOf(parameter.symbol);
      BANYAN_RETURN_IF_ERROR(cursor_.Expect(TokenType::kName));
      if (cursor_.SkipOperator("=")) {
        BANYAN_ASSIGN_OR_RETURN(parameter.default_value, expressions_.ParseExpression());
      } else if (!macro->parameters.empty() && macro->parameters.back().default_value != nullptr) {
        return cursor_.Fail("a parameter without default follows one with default");
      }
      macro->parameters.push_back(parameter);
      if (!cursor_.SkipOperator(",")) break;
    }
    return cursor_.ExpectOperator(")");
  }

  absl::StatusOr<Block> ParseMacroBody(MacroDefinition* macro, std::string_view end_name) {
    const int loop_depth = std::exchange(loop_depth_, 0);
    expressions_.open_macros.push_back(macro);
    absl::StatusOr<Block> body = ParseBody(end_name);
    expressions_.open_macros.pop_back();
    loop_depth_ = loop_depth;
    return body;
  }

  absl::StatusOr<Stmt*> ParseMacro(int32_t line) {
    Stmt* stmt = tree_.NewStmt(Stmt::Kind::kMacro, line);
    stmt->macro = std::make_unique<MacroDefinition>();
    stmt->target.symbol = tree_.Intern(cursor_.current().text);
    stmt->macro->name = tree_.NameOf(stmt->target.symbol);
    BANYAN_RETURN_IF_ERROR(cursor_.Expect(TokenType::kName));
    BANYAN_RETURN_IF_ERROR(ParseSignature(stmt->macro.get()));
    BANYAN_ASSIGN_OR_RETURN(stmt->macro->body, ParseMacroBody(stmt->macro.get(), "endmacro"));
    return stmt;
  }

  absl::StatusOr<Stmt*> ParseCallBlock(int32_t line) {
    Stmt* stmt = tree_.NewStmt(Stmt::Kind::kCallBlock, line);
    stmt->macro = std::make_unique<MacroDefinition>();
    stmt->macro->name = "caller";
    if (cursor_.IsOperator("(")) BANYAN_RETURN_IF_ERROR(ParseSignature(stmt->macro.get()));
    BANYAN_ASSIGN_OR_RETURN(stmt->expression, expressions_.ParseExpression());
    if (stmt->expression->kind != Expr::Kind::kCall) return cursor_.Fail("expected a call");
    BANYAN_ASSIGN_OR_RETURN(stmt->macro->body, ParseMacroBody(stmt->macro.get(), "endcall"));
    return stmt;
  }

  absl::StatusOr<Stmt*> ParseFilterBlock(int32_t line) {
    Stmt* stmt = tree_.NewStmt(Stmt::Kind::kFilterBlock, line);
    BANYAN_ASSIGN_OR_RETURN(stmt->expression, expressions_.ParseFilterChain(nullptr, true));
    BANYAN_ASSIGN_OR_RETURN(stmt->body, ParseBody("endfilter"));
    return stmt;
  }

  absl::StatusOr<Stmt*> ParseWith(int32_t line) {
    Stmt* stmt = tree_.NewStmt(Stmt::Kind::kWith, line);
    while (!cursor_.Is(TokenType::kBlockEnd)) {
      if (!stmt->assignments.empty()) BANYAN_RETURN_IF_ERROR(cursor_.ExpectOperator(","));
      BANYAN_ASSIGN_OR_RETURN(Target target, ParseOneTarget());
      BANYAN_RETURN_IF_ERROR(cursor_.ExpectOperator("="));
      BANYAN_ASSIGN_OR_RETURN(Expr * value, expressions_.ParseExpression());
      stmt->assignments.emplace_back(std::move(target), value);
    }
    BANYAN_ASSIGN_OR_RETURN(stmt->body, ParseBody("endwith"));
    return stmt;
  }

  absl::StatusOr<Stmt*> ParseGeneration(int32_t line) {
    Stmt* stmt = tree_.NewStmt(Stmt::Kind::kScope, line);
    BANYAN_ASSIGN_OR_RETURN(stmt->body, ParseBody("endgeneration"));
    return stmt;
  }

  absl::StatusOr<Stmt*> ParsePrint(int32_t line) {
    Stmt* stmt = tree_.NewStmt(Stmt::Kind::kOutput, line);
    BANYAN_ASSIGN_OR_RETURN(stmt->expression, expressions_.ParseExpression());
    BANYAN_RETURN_IF_ERROR(cursor_.Expect(TokenType::kBlockEnd));
    return stmt;
  }

  absl::StatusOr<Stmt*> ParseJump(const Token& token) {
    if (loop_depth_ == 0) {
      return cursor_.Fail(absl::StrFormat("'%s' outside of a loop", token.text));
    }
    BANYAN_RETURN_IF_ERROR(cursor_.Expect(TokenType::kBlockEnd));
    return tree_.NewStmt(token.text == "break" ? Stmt::Kind::kBreak : Stmt::Kind::kContinue,
                         token.line);
  }

  TokenCursor cursor_;
  Template& tree_;
  ExpressionParser expressions_;
  int loop_depth_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<const Template>> ParseTemplate(std::string_view source) {
  if (source.size() > kTemplateBytesMax) {
    return Error("template of %d bytes is larger than %d", source.size(), kTemplateBytesMax);
  }
  BANYAN_ASSIGN_OR_RETURN(std::vector<Token> tokens, LexTemplate(NormalizeNewlines(source)));
  auto tree = std::make_unique<Template>();
  StatementParser parser(std::move(tokens), *tree);
  BANYAN_ASSIGN_OR_RETURN(tree->body, parser.ParseAll());
  return std::unique_ptr<const Template>(std::move(tree));
}

}  // namespace banyan::jinja
