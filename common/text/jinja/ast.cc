#include "common/text/jinja/ast.h"

namespace banyan::jinja {
namespace {

// Of the constants of one template; its source is bounded much lower.
constexpr size_t kTemplateArenaBytesMax = 64u << 20;

}  // namespace

Template::Template() : arena_(kTemplateArenaBytesMax) {
  well_known_ = {Intern("loop"), Intern("caller"), Intern("varargs"), Intern("kwargs")};
}

Symbol Template::Intern(std::string_view name) {
  if (const auto it = symbols_.find(name); it != symbols_.end()) return it->second;
  const auto symbol = static_cast<Symbol>(names_.size());
  names_.emplace_back(name);
  symbols_.emplace(names_.back(), symbol);
  return symbol;
}

const Symbol* Template::Find(std::string_view name) const {
  const auto it = symbols_.find(name);
  return it == symbols_.end() ? nullptr : &it->second;
}

Expr* Template::NewExpr(Expr::Kind kind, int32_t line) {
  Expr& expr = exprs_.emplace_back();
  expr.kind = kind;
  expr.line = line;
  return &expr;
}

Stmt* Template::NewStmt(Stmt::Kind kind, int32_t line) {
  Stmt& stmt = stmts_.emplace_back();
  stmt.kind = kind;
  stmt.line = line;
  return &stmt;
}

}  // namespace banyan::jinja
