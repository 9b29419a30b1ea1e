#include "common/base/status_macros.h"
#include "common/text/jinja/interpreter.h"
#include "common/text/jinja/python_text.h"

namespace banyan::jinja {

Scope* Interpreter::NewScope(Scope* parent) {
  auto* scope = arena_.New<Scope>();
  scope->parent = parent;
  return scope;
}

void Interpreter::Bind(Scope* scope, Symbol symbol, const Value& value) {
  for (uint32_t i = 0; i < scope->size; ++i) {
    if (scope->bindings[i].symbol == symbol) {
      scope->bindings[i].value = value;
      return;
    }
  }
  if (scope->size == scope->capacity) {
    const uint32_t capacity = scope->capacity == 0 ? 4 : scope->capacity * 2;
    auto* bindings = arena_.NewArray<Scope::Binding>(capacity);
    if (bindings == nullptr) return;  // the next step fails
    std::copy(scope->bindings, scope->bindings + scope->size, bindings);
    scope->bindings = bindings;
    scope->capacity = capacity;
  }
  scope->bindings[scope->size++] = {symbol, value};
}

absl::Status Interpreter::RunBlock(const Block& block) {
  for (const Stmt* stmt : block) {
    BANYAN_RETURN_IF_ERROR(RunStatement(*stmt));
    if (flow_ != Flow::kNext) break;
  }
  return absl::OkStatus();
}

absl::Status Interpreter::RunStatement(const Stmt& stmt) {
  if (stmt.kind == Stmt::Kind::kText) {
    out_->Append(*stmt.text);
    return Step();
  }
  line_ = stmt.line;
  BANYAN_RETURN_IF_ERROR(Step());
  const Frame frame(*this);
  BANYAN_RETURN_IF_ERROR(frame.Check());
  switch (stmt.kind) {
    case Stmt::Kind::kText:
      break;
    case Stmt::Kind::kOutput: {
      BANYAN_ASSIGN_OR_RETURN(const Value value, Eval(*stmt.expression));
      return Print(value);
    }
    case Stmt::Kind::kIf:
      return RunIf(stmt);
    case Stmt::Kind::kFor:
      return RunFor(stmt);
    case Stmt::Kind::kSet: {
      BANYAN_ASSIGN_OR_RETURN(const Value value, Eval(*stmt.expression));
      return Assign(stmt.target, value);
    }
    case Stmt::Kind::kSetBlock:
    case Stmt::Kind::kFilterBlock:
      return RunCapturing(stmt);
    case Stmt::Kind::kMacro: {
      Value macro;
      macro.kind = Kind::kMacro;
      macro.macro = arena_.New<Macro>(stmt.macro.get(), scope_);
      for (Scope* scope = scope_; scope != nullptr; scope = scope->parent) scope->captured = true;
      Bind(scope_, stmt.target.symbol, macro);
      break;
    }
    case Stmt::Kind::kCallBlock:
      return RunCallBlock(stmt);
    case Stmt::Kind::kWith:
      return RunWith(stmt);
    case Stmt::Kind::kScope:
      return RunInScope(stmt.body, NewScope(scope_));
    case Stmt::Kind::kBreak:
      flow_ = Flow::kBreak;
      break;
    case Stmt::Kind::kContinue:
      flow_ = Flow::kContinue;
      break;
  }
  return absl::OkStatus();
}

absl::Status Interpreter::Print(const Value& value) {
  if (value.is_string()) {
    out_->Append(*value.string);
  } else {
    AppendStr(value, out_);
  }
  return absl::OkStatus();
}

absl::Status Interpreter::RunIf(const Stmt& stmt) {
  for (const Stmt::Branch& branch : stmt.branches) {
    BANYAN_ASSIGN_OR_RETURN(const Value condition, Eval(*branch.condition));
    if (IsTrue(condition)) return RunBlock(branch.body);
  }
  return RunBlock(stmt.else_body);
}

absl::Status Interpreter::RunInScope(const Block& block, Scope* scope) {
  Scope* const outer = scope_;
  scope_ = scope;
  absl::Status status = RunBlock(block);
  scope_ = outer;
  return status;
}

absl::StatusOr<Value> Interpreter::Capture(const Block& block, Scope* scope) {
  TextBuilder captured(arena_, limits_.max_output_bytes);
  TextBuilder* const outer = out_;
  out_ = &captured;
  absl::Status status = RunInScope(block, scope);
  if (status.ok()) status = Step(0);
  out_ = outer;
  if (!status.ok()) return status;
  return captured.FinishValue();
}

absl::Status Interpreter::RunCapturing(const Stmt& stmt) {
  BANYAN_ASSIGN_OR_RETURN(Value text, Capture(stmt.body, NewScope(scope_)));
  if (stmt.expression != nullptr) {
    BANYAN_ASSIGN_OR_RETURN(text, EvalFilter(*stmt.expression, &text));
  }
  if (stmt.kind == Stmt::Kind::kSetBlock) return Assign(stmt.target, text);
  return Print(text);
}

absl::Status Interpreter::RunWith(const Stmt& stmt) {
  Scope* scope = NewScope(scope_);
  for (const auto& [target, expression] : stmt.assignments) {
    BANYAN_ASSIGN_OR_RETURN(const Value value, Eval(*expression));
    Scope* const outer = scope_;
    scope_ = scope;
    absl::Status status = Assign(target, value);
    scope_ = outer;
    BANYAN_RETURN_IF_ERROR(status);
  }
  return RunInScope(stmt.body, scope);
}

absl::Status Interpreter::RunCallBlock(const Stmt& stmt) {
  Value caller;
  caller.kind = Kind::kMacro;
  caller.macro = arena_.New<Macro>(stmt.macro.get(), scope_);
  for (Scope* scope = scope_; scope != nullptr; scope = scope->parent) scope->captured = true;
  BANYAN_ASSIGN_OR_RETURN(const Value result, EvalCall(*stmt.expression, &caller));
  return Print(result);
}

absl::Status Interpreter::Assign(const Target& target, const Value& value) {
  if (target.kind == Target::Kind::kName) {
    Bind(scope_, target.symbol, value);
    return absl::OkStatus();
  }
  if (target.kind == Target::Kind::kAttribute) {
    const Value* found = nullptr;
    for (Scope* s = scope_; s != nullptr && found == nullptr; s = s->parent) {
      found = s->FindHere(target.symbol);
    }
    if (found == nullptr || found->kind != Kind::kNamespace) {
      return Error("cannot assign attribute '%s': '%s' is not a namespace", target.attribute,
                   tree_.NameOf(target.symbol));
    }
    found->ns->Set(arena_, target.attribute, value);
    return absl::OkStatus();
  }
  BANYAN_ASSIGN_OR_RETURN(const absl::Span<const Value> items, Iterate(value));
  if (items.size() != target.items.size()) {
    return Error("cannot unpack %d values into %d names", items.size(), target.items.size());
  }
  for (size_t i = 0; i < items.size(); ++i) {
    BANYAN_RETURN_IF_ERROR(Assign(target.items[i], items[i]));
  }
  return absl::OkStatus();
}

absl::Status Interpreter::RunFor(const Stmt& stmt) {
  BANYAN_ASSIGN_OR_RETURN(const Value iterable, Eval(*stmt.expression));
  return RunLoop(stmt, iterable, 1, scope_);
}

absl::StatusOr<absl::Span<const Value>> Interpreter::FilterItems(const Stmt& stmt,
                                                                 absl::Span<const Value> items,
                                                                 Scope* scope) {
  auto* kept = arena_.NewArray<Value>(items.size());
  if (kept == nullptr) return Error("out of memory");
  size_t num_kept = 0;
  Scope* const outer = scope_;
  scope_ = scope;
  absl::Status status;
  for (size_t i = 0; i < items.size() && status.ok(); ++i) {
    status = Assign(stmt.target, items[i]);
    if (!status.ok()) break;
    absl::StatusOr<Value> keep = Eval(*stmt.filter);
    status = keep.status();
    if (status.ok() && IsTrue(*keep)) kept[num_kept++] = items[i];
  }
  scope_ = outer;
  if (!status.ok()) return status;
  return absl::MakeConstSpan(kept, num_kept);
}

absl::Status Interpreter::RunLoop(const Stmt& stmt, const Value& iterable, int32_t depth,
                                  Scope* around) {
  BANYAN_ASSIGN_OR_RETURN(absl::Span<const Value> items, Iterate(iterable));
  if (stmt.filter != nullptr) {
    BANYAN_ASSIGN_OR_RETURN(items, FilterItems(stmt, items, NewScope(around)));
  }
  if (items.empty()) return RunInScope(stmt.else_body, NewScope(around));
  auto* loop = arena_.New<Loop>();
  loop->items = items.data();
  loop->size = items.size();
  loop->depth = depth;
  loop->statement = &stmt;
  loop->scope = around;
  Value loop_value;
  loop_value.kind = Kind::kLoop;
  loop_value.loop = loop;
  Scope* const outer = scope_;
  Scope* scope = NewScope(around);
  absl::Status status;
  for (; loop->index < items.size() && status.ok() && flow_ != Flow::kBreak; ++loop->index) {
    flow_ = Flow::kNext;
    // Names set in one turn are gone in the next, unless a macro may still see them.
    if (scope->captured) scope = NewScope(around);
    scope->size = 0;
    Bind(scope, tree_.well_known().loop, loop_value);
    scope_ = scope;
    status = Step();
    if (status.ok()) status = Assign(stmt.target, items[loop->index]);
    if (status.ok()) status = RunBlock(stmt.body);
  }
  flow_ = Flow::kNext;
  scope_ = outer;
  return status;
}

}  // namespace banyan::jinja
