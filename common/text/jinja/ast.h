// The tree of a parsed template. Made by ParseTemplate, immutable afterwards and safe to render
// from many threads at once.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/text/jinja/arena.h"
#include "common/text/jinja/value.h"

namespace banyan::jinja {

// Names of variables, numbered.
enum class Symbol : int32_t {};

enum class Operator : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

struct Expr {
  enum class Kind : uint8_t {
    kConstant,
    kName,
    kList,
    kTuple,
    kDict,  // operands: key, value, key, value, ...
    kNot,
    kNegate,
    kPlus,
    kBinary,   // operators[0]
    kCompare,  // operands[0] operators[0] operands[1] operators[1] ...
    kAnd,
    kOr,
    kConcat,     // ~
    kCondition,  // operands: condition, then[, else]
    kAttribute,  // operands[0].name
    kItem,       // operands[0][operands[1]]
    kSlice,      // operands[0][begin:end:step], absent ones nullptr
    kCall,       // callee, positional arguments
    kFilter,     // operands: piped value (nullptr in blocks), positional arguments
    kTest,
  };

  Kind kind = Kind::kConstant;
  int32_t line = 0;
  Symbol symbol{};        // kName
  std::string_view name;  // kName, kAttribute, kFilter, kTest
  Value constant;
  NativeFunction function = nullptr;  // kFilter, kTest; nullptr: no such one, an error when reached
  std::vector<Operator> operators;
  std::vector<Expr*> operands;
  std::vector<std::pair<std::string_view, Expr*>> named;
  Expr* star_args = nullptr;    // *args
  Expr* star_kwargs = nullptr;  // **kwargs
};

// What a value is assigned to.
struct Target {
  enum class Kind : uint8_t { kName, kAttribute, kTuple };
  Kind kind = Kind::kName;
  int32_t line = 0;
  Symbol symbol{};
  std::string_view attribute;  // kAttribute: of the namespace `symbol`
  std::vector<Target> items;   // kTuple
};

struct Stmt;
using Block = std::vector<Stmt*>;

// A macro or the body of a call block.
struct MacroDefinition {
  std::string_view name;
  struct Parameter {
    Symbol symbol;
    std::string_view name;
    Expr* default_value;  // nullptr: none
  };
  std::vector<Parameter> parameters;
  bool takes_varargs = false;  // its body names `varargs`, and so on
  bool takes_kwargs = false;
  bool takes_caller = false;
  Block body;
};

struct Stmt {
  enum class Kind : uint8_t {
    kText,
    kOutput,
    kIf,
    kFor,
    kSet,
    kSetBlock,
    kMacro,
    kCallBlock,    // expression is the call, macro the body
    kFilterBlock,  // expression is the chain of filters
    kWith,
    kScope,  // a body, nothing more ({% generation %})
    kBreak,
    kContinue,
  };

  struct Branch {
    Expr* condition;
    Block body;
  };

  Kind kind = Kind::kText;
  int32_t line = 0;
  bool recursive = false;
  const String* text = nullptr;
  Expr* expression = nullptr;  // output, iterable, value, filters (may be nullptr), call
  Expr* filter = nullptr;      // kFor: the `if`
  Target target;
  std::vector<Branch> branches;
  std::vector<std::pair<Target, Expr*>> assignments;  // kWith
  Block body;
  Block else_body;
  std::unique_ptr<MacroDefinition> macro;
};

// Symbols that the interpreter itself sets.
struct WellKnownSymbols {
  Symbol loop, caller, varargs, kwargs;
};

class Template {
 public:
  Template();

  Symbol Intern(std::string_view name);
  // nullptr if the template never says that name.
  const Symbol* Find(std::string_view name) const;
  size_t num_symbols() const { return names_.size(); }
  std::string_view NameOf(Symbol symbol) const { return names_[static_cast<size_t>(symbol)]; }
  const WellKnownSymbols& well_known() const { return well_known_; }

  Expr* NewExpr(Expr::Kind kind, int32_t line);
  Stmt* NewStmt(Stmt::Kind kind, int32_t line);
  // A string that lives as long as the template.
  const String* NewText(std::string_view text) {
    return NewString(arena_, text, Origin::kTemplate);
  }
  Arena& arena() { return arena_; }

  Block body;

 private:
  Arena arena_;
  std::deque<std::string> names_;
  std::unordered_map<std::string_view, Symbol> symbols_;
  std::deque<Expr> exprs_;
  std::deque<Stmt> stmts_;
  WellKnownSymbols well_known_;
};

}  // namespace banyan::jinja
