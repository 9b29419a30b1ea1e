// Runs one template once. Single-threaded; the template is shared and only read. Everything it
// makes lives in its arena. No files, no clock but the given one, no way to change a value of the
// caller: what Jinja2 calls an immutable sandbox.
//
// Bounds: RenderLimits::max_steps expressions, statements and units of work in built-in functions;
// max_depth calls, and kFramesPerCall times that many nested expressions and statements;
// max_output_bytes of output; max_memory_bytes of everything made.
#pragma once

#include <ctime>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/text/chat_template.h"
#include "common/text/jinja/ast.h"
#include "common/text/jinja/text_builder.h"
#include "common/text/jinja/value.h"

namespace banyan::jinja {

// Variables of one block. Captured by macros and callers, which may outlive the block.
struct Scope {
  struct Binding {
    Symbol symbol;
    Value value;
  };
  Scope* parent = nullptr;
  Binding* bindings = nullptr;
  uint32_t size = 0;
  uint32_t capacity = 0;
  bool captured = false;

  const Value* FindHere(Symbol symbol) const;
};

struct Loop {
  const Value* items = nullptr;
  size_t size = 0;
  size_t index = 0;  // of the current item
  int32_t depth = 1;
  const Stmt* statement = nullptr;
  Scope* scope = nullptr;  // around the loop
  bool has_last_changed = false;
  Value last_changed;
};

struct Macro {
  const MacroDefinition* definition;
  Scope* scope;  // where it was defined
};

class Interpreter {
 public:
  Interpreter(const Template& tree, const RenderLimits& limits, const std::tm& now)
      : tree_(tree),
        limits_(limits),
        now_(now),
        arena_(limits.max_memory_bytes),
        variables_(tree.num_symbols(), nullptr) {}
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  Arena& arena() { return arena_; }
  const std::tm& now() const { return now_; }

  // A variable that the template may read. No effect if it never does.
  void SetVariable(std::string_view name, const Value& value);

  // Appends what the template renders to `out`. INVALID_ARGUMENT with line and cause, or exactly
  // the message given to raise_exception.
  absl::Status Run(TextBuilder* out);

  // For built-in functions.

  // Counts work that makes no value, in bytes looked at.
  absl::Status ChargeBytes(size_t bytes) {
    return Step(static_cast<int64_t>(bytes / kBytesPerStep));
  }
  absl::StatusOr<Value> Call(const Value& callee, const CallArgs& args);
  absl::StatusOr<Value> GetAttribute(const Value& object, std::string_view name);
  absl::StatusOr<Value> GetItem(const Value& object, const Value& key);
  // What a for loop over `value` sees; nothing for undefined. An iterator is used up.
  absl::StatusOr<absl::Span<const Value>> Iterate(const Value& value);
  // The error of raise_exception.
  absl::Status Raise(std::string_view message);

  static constexpr int32_t kFramesPerCall = 16;
  static constexpr size_t kBytesPerStep = 64;

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };
  class Frame;

  absl::Status Step(int64_t count = 1);
  std::string_view KeepName(std::string_view name);

  // Statements: interpreter_statements.cc.
  absl::Status RunBlock(const Block& block);
  absl::Status RunStatement(const Stmt& stmt);
  absl::Status RunIf(const Stmt& stmt);
  absl::Status RunFor(const Stmt& stmt);
  absl::Status RunLoop(const Stmt& stmt, const Value& iterable, int32_t depth, Scope* around);
  absl::StatusOr<absl::Span<const Value>> FilterItems(const Stmt& stmt,
                                                      absl::Span<const Value> items, Scope* scope);
  absl::Status RunSet(const Stmt& stmt);
  absl::Status RunCapturing(const Stmt& stmt);
  absl::Status RunWith(const Stmt& stmt);
  absl::Status RunCallBlock(const Stmt& stmt);
  absl::StatusOr<Value> Capture(const Block& block, Scope* scope);
  absl::Status RunInScope(const Block& block, Scope* scope);
  absl::Status Assign(const Target& target, const Value& value);
  absl::Status Print(const Value& value);
  Scope* NewScope(Scope* parent);
  void Bind(Scope* scope, Symbol symbol, const Value& value);

  // Expressions: interpreter_expressions.cc.
  absl::StatusOr<Value> Eval(const Expr& expr);
  absl::StatusOr<Value> EvalCompound(const Expr& expr);
  absl::StatusOr<Value> EvalName(const Expr& expr);
  absl::StatusOr<Value> EvalSequence(const Expr& expr);
  absl::StatusOr<Value> EvalDict(const Expr& expr);
  absl::StatusOr<Value> EvalCompare(const Expr& expr);
  absl::StatusOr<Value> EvalConcat(const Expr& expr);
  absl::StatusOr<Value> EvalLogic(const Expr& expr);
  absl::StatusOr<Value> EvalCondition(const Expr& expr);
  absl::StatusOr<Value> EvalSlice(const Expr& expr);
  absl::StatusOr<Value> EvalCall(const Expr& expr, const Value* caller);
  absl::StatusOr<Value> EvalFilter(const Expr& expr, const Value* block_value);
  absl::StatusOr<Value> EvalFilterOrTest(const Expr& expr, const Value& subject);
  absl::Status EvalArguments(const Expr& expr, size_t first, CallArgs* args);

  // Calls: interpreter_calls.cc.
  absl::StatusOr<Value> CallMacro(const Macro& macro, const CallArgs& args);
  absl::Status BindArguments(const Macro& macro, const CallArgs& args, Scope* scope);
  absl::Status BindExtraArguments(const Macro& macro, const CallArgs& args, Scope* scope);
  absl::StatusOr<Value> CallLoop(const Loop& loop, const CallArgs& args);
  absl::StatusOr<Value> LoopAttribute(Loop* loop, std::string_view name);
  absl::StatusOr<Value> Lacking(const Value& object, std::string_view name,
                                Undefined::Reason reason);
  Value BoundMethod(const Value& self, std::string_view name, NativeFunction call);

  const Template& tree_;
  const RenderLimits limits_;
  const std::tm now_;
  Arena arena_;
  std::vector<const Value*> variables_;  // by symbol
  Scope* scope_ = nullptr;
  TextBuilder* out_ = nullptr;
  Flow flow_ = Flow::kNext;
  int64_t steps_ = 0;
  int32_t frames_ = 0;
  int32_t calls_ = 0;
  int32_t line_ = 1;
  bool raised_ = false;
};

// One level of recursion over the tree.
class Interpreter::Frame {
 public:
  explicit Frame(Interpreter& interpreter) : interpreter_(interpreter) { ++interpreter_.frames_; }
  ~Frame() { --interpreter_.frames_; }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  absl::Status Check() const {
    const int32_t limit = interpreter_.limits_.max_depth * kFramesPerCall;
    if (interpreter_.frames_ <= limit) return absl::OkStatus();
    return Error("nested deeper than the limit of %d levels", limit);
  }

 private:
  Interpreter& interpreter_;
};

}  // namespace banyan::jinja
