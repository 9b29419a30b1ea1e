#include "common/base/status_macros.h"
#include "common/text/jinja/builtins.h"
#include "common/text/jinja/interpreter.h"
#include "common/text/jinja/operators.h"
#include "common/text/jinja/python_text.h"

namespace banyan::jinja {

absl::StatusOr<Value> Interpreter::Eval(const Expr& expr) {
  if (expr.kind == Expr::Kind::kConstant) return expr.constant;
  line_ = expr.line;
  BANYAN_RETURN_IF_ERROR(Step());
  if (expr.kind == Expr::Kind::kName) return EvalName(expr);
  const Frame frame(*this);
  BANYAN_RETURN_IF_ERROR(frame.Check());
  return EvalCompound(expr);
}

absl::StatusOr<Value> Interpreter::EvalCompound(const Expr& expr) {
  switch (expr.kind) {
    case Expr::Kind::kList:
    case Expr::Kind::kTuple:
      return EvalSequence(expr);
    case Expr::Kind::kDict:
      return EvalDict(expr);
    case Expr::Kind::kNot: {
      BANYAN_ASSIGN_OR_RETURN(const Value value, Eval(*expr.operands[0]));
      return Value::Bool(!IsTrue(value));
    }
    case Expr::Kind::kNegate: {
      BANYAN_ASSIGN_OR_RETURN(const Value value, Eval(*expr.operands[0]));
      return Negate(*this, value);
    }
    case Expr::Kind::kPlus: {
      BANYAN_ASSIGN_OR_RETURN(const Value value, Eval(*expr.operands[0]));
      return Arithmetic(*this, Operator::kAdd, Value::Int(0), value);
    }
    case Expr::Kind::kBinary: {
      BANYAN_ASSIGN_OR_RETURN(const Value left, Eval(*expr.operands[0]));
      BANYAN_ASSIGN_OR_RETURN(const Value right, Eval(*expr.operands[1]));
      return Arithmetic(*this, expr.operators[0], left, right);
    }
    case Expr::Kind::kCompare:
      return EvalCompare(expr);
    case Expr::Kind::kAnd:
    case Expr::Kind::kOr:
      return EvalLogic(expr);
    case Expr::Kind::kConcat:
      return EvalConcat(expr);
    case Expr::Kind::kCondition:
      return EvalCondition(expr);
    case Expr::Kind::kAttribute: {
      BANYAN_ASSIGN_OR_RETURN(const Value object, Eval(*expr.operands[0]));
      return GetAttribute(object, expr.name);
    }
    case Expr::Kind::kItem: {
      BANYAN_ASSIGN_OR_RETURN(const Value object, Eval(*expr.operands[0]));
      BANYAN_ASSIGN_OR_RETURN(const Value key, Eval(*expr.operands[1]));
      return GetItem(object, key);
    }
    case Expr::Kind::kSlice:
      return EvalSlice(expr);
    case Expr::Kind::kCall:
      return EvalCall(expr, nullptr);
    case Expr::Kind::kFilter:
      return EvalFilter(expr, nullptr);
    case Expr::Kind::kTest: {
      BANYAN_ASSIGN_OR_RETURN(const Value subject, Eval(*expr.operands[0]));
      return EvalFilterOrTest(expr, subject);
    }
    case Expr::Kind::kConstant:
    case Expr::Kind::kName:
      break;
  }
  return expr.constant;
}

absl::StatusOr<Value> Interpreter::EvalName(const Expr& expr) {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->parent) {
    if (const Value* value = scope->FindHere(expr.symbol)) return *value;
  }
  if (const Value* value = variables_[static_cast<size_t>(expr.symbol)]) return *value;
  if (const NativeFunction global = FindGlobal(expr.name)) {
    return BoundMethod(Value(), expr.name, global);
  }
  return Value::Of(arena_.New<Undefined>(Undefined::Reason::kName, "", expr.name));
}

absl::StatusOr<Value> Interpreter::EvalSequence(const Expr& expr) {
  auto* items = arena_.NewArray<Value>(expr.operands.size());
  if (items == nullptr) return Error("out of memory");
  for (size_t i = 0; i < expr.operands.size(); ++i) {
    BANYAN_ASSIGN_OR_RETURN(items[i], Eval(*expr.operands[i]));
  }
  return MakeSequence(arena_, items, expr.operands.size(),
                      expr.kind == Expr::Kind::kTuple ? Flavor::kTuple : Flavor::kList);
}

absl::StatusOr<Value> Interpreter::EvalDict(const Expr& expr) {
  DictBuilder dict(arena_);
  for (size_t i = 0; i < expr.operands.size(); i += 2) {
    BANYAN_ASSIGN_OR_RETURN(const Value key, Eval(*expr.operands[i]));
    BANYAN_ASSIGN_OR_RETURN(const Value value, Eval(*expr.operands[i + 1]));
    BANYAN_RETURN_IF_ERROR(ChargeBytes(WorkBytes(key)));
    BANYAN_RETURN_IF_ERROR(dict.Set(key, value));
  }
  return dict.Finish();
}

absl::StatusOr<Value> Interpreter::EvalCompare(const Expr& expr) {
  BANYAN_ASSIGN_OR_RETURN(Value left, Eval(*expr.operands[0]));
  for (size_t i = 0; i < expr.operators.size(); ++i) {
    BANYAN_ASSIGN_OR_RETURN(const Value right, Eval(*expr.operands[i + 1]));
    BANYAN_ASSIGN_OR_RETURN(const bool holds, Compare(*this, expr.operators[i], left, right));
    if (!holds) return Value::Bool(false);
    left = right;
  }
  return Value::Bool(true);
}

absl::StatusOr<Value> Interpreter::EvalConcat(const Expr& expr) {
  TextBuilder text(arena_);
  for (const Expr* operand : expr.operands) {
    BANYAN_ASSIGN_OR_RETURN(const Value value, Eval(*operand));
    AppendStr(value, &text);
  }
  return text.FinishValue();
}

absl::StatusOr<Value> Interpreter::EvalLogic(const Expr& expr) {
  const bool stops_at = expr.kind == Expr::Kind::kOr;
  Value value;
  for (const Expr* operand : expr.operands) {
    BANYAN_ASSIGN_OR_RETURN(value, Eval(*operand));
    if (IsTrue(value) == stops_at) break;
  }
  return value;
}

absl::StatusOr<Value> Interpreter::EvalCondition(const Expr& expr) {
  BANYAN_ASSIGN_OR_RETURN(const Value condition, Eval(*expr.operands[0]));
  if (IsTrue(condition)) return Eval(*expr.operands[1]);
  if (expr.operands.size() > 2) return Eval(*expr.operands[2]);
  return Value::Of(arena_.New<Undefined>(Undefined::Reason::kText, "",
                                         "the inline if was false and has no else"));
}

absl::StatusOr<Value> Interpreter::EvalSlice(const Expr& expr) {
  BANYAN_ASSIGN_OR_RETURN(const Value object, Eval(*expr.operands[0]));
  Value bounds[3];
  for (size_t i = 0; i < 3; ++i) {
    bounds[i] = Value::None();
    if (expr.operands[i + 1] == nullptr) continue;
    BANYAN_ASSIGN_OR_RETURN(bounds[i], Eval(*expr.operands[i + 1]));
  }
  return SliceValue(*this, object, bounds[0], bounds[1], bounds[2]);
}

absl::Status Interpreter::EvalArguments(const Expr& expr, size_t first, CallArgs* args) {
  for (size_t i = first; i < expr.operands.size(); ++i) {
    BANYAN_ASSIGN_OR_RETURN(const Value value, Eval(*expr.operands[i]));
    args->positional.push_back(value);
  }
  if (expr.star_args != nullptr) {
    BANYAN_ASSIGN_OR_RETURN(const Value rest, Eval(*expr.star_args));
    BANYAN_ASSIGN_OR_RETURN(const absl::Span<const Value> items, Iterate(rest));
    if (!arena_.Charge(items.size() * sizeof(Value))) return Error("out of memory");
    for (const Value& item : items) args->positional.push_back(item);
  }
  for (const auto& [name, operand] : expr.named) {
    BANYAN_ASSIGN_OR_RETURN(const Value value, Eval(*operand));
    args->named.emplace_back(name, value);
  }
  if (expr.star_kwargs != nullptr) {
    BANYAN_ASSIGN_OR_RETURN(const Value rest, Eval(*expr.star_kwargs));
    if (!rest.is_dict()) return Error("argument after ** must be a mapping");
    // Checks of names are linear in their number, so it is kept small.
    constexpr size_t kNamedArgumentsMax = 256;
    if (rest.dict->size > kNamedArgumentsMax) {
      return Error("more than %d named arguments", kNamedArgumentsMax);
    }
    for (size_t i = 0; i < rest.dict->size; ++i) {
      const DictEntry& entry = rest.dict->entries[i];
      if (!entry.key.is_string()) return Error("keywords must be strings");
      args->named.emplace_back(entry.key.text(), entry.value);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Value> Interpreter::EvalCall(const Expr& expr, const Value* caller) {
  const Expr& callee_expr = *expr.operands[0];
  CallArgs args;
  if (callee_expr.kind == Expr::Kind::kAttribute) {
    // A method, called at once: no bound method is made.
    BANYAN_ASSIGN_OR_RETURN(const Value object, Eval(*callee_expr.operands[0]));
    const Method method = FindMethod(object, callee_expr.name);
    if (method.call != nullptr) {
      BANYAN_RETURN_IF_ERROR(EvalArguments(expr, 1, &args));
      line_ = expr.line;
      return method.call(*this, object, args);
    }
    BANYAN_ASSIGN_OR_RETURN(const Value callee, GetAttribute(object, callee_expr.name));
    BANYAN_RETURN_IF_ERROR(EvalArguments(expr, 1, &args));
    if (caller != nullptr) args.named.emplace_back("caller", *caller);
    line_ = expr.line;
    return Call(callee, args);
  }
  BANYAN_ASSIGN_OR_RETURN(const Value callee, Eval(callee_expr));
  BANYAN_RETURN_IF_ERROR(EvalArguments(expr, 1, &args));
  if (caller != nullptr) args.named.emplace_back("caller", *caller);
  line_ = expr.line;
  return Call(callee, args);
}

absl::StatusOr<Value> Interpreter::EvalFilter(const Expr& expr, const Value* block_value) {
  if (expr.operands[0] == nullptr) {
    if (block_value == nullptr) return Error("a filter without a value");
    return EvalFilterOrTest(expr, *block_value);
  }
  if (block_value != nullptr) {
    const Frame frame(*this);
    BANYAN_RETURN_IF_ERROR(frame.Check());
    BANYAN_ASSIGN_OR_RETURN(const Value subject, EvalFilter(*expr.operands[0], block_value));
    return EvalFilterOrTest(expr, subject);
  }
  BANYAN_ASSIGN_OR_RETURN(const Value subject, Eval(*expr.operands[0]));
  return EvalFilterOrTest(expr, subject);
}

absl::StatusOr<Value> Interpreter::EvalFilterOrTest(const Expr& expr, const Value& subject) {
  if (expr.function == nullptr) {
    return Error("no %s named '%s'", expr.kind == Expr::Kind::kTest ? "test" : "filter", expr.name);
  }
  CallArgs args;
  BANYAN_RETURN_IF_ERROR(EvalArguments(expr, 1, &args));
  line_ = expr.line;
  return expr.function(*this, subject, args);
}

}  // namespace banyan::jinja
