// Calls: macros, callers, recursive loops and the attributes of `loop`.
#include "common/base/status_macros.h"
#include "common/text/jinja/builtins.h"
#include "common/text/jinja/interpreter.h"

namespace banyan::jinja {
namespace {

absl::StatusOr<Value> LoopCycle(Interpreter&, const Value& self, const CallArgs& args) {
  if (args.positional.empty()) return Error("loop.cycle needs at least one argument");
  return args.positional[self.loop->index % args.positional.size()];
}

absl::StatusOr<Value> LoopChanged(Interpreter& interpreter, const Value& self,
                                  const CallArgs& args) {
  Loop* loop = self.loop;
  SequenceBuilder arguments(interpreter.arena());
  for (const Value& v : args.positional) arguments.Append(v);
  BANYAN_ASSIGN_OR_RETURN(const Value now, arguments.Finish(Flavor::kTuple));
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(WorkBytes(now)));
  const bool changed = !loop->has_last_changed || !Equal(loop->last_changed, now);
  loop->has_last_changed = true;
  loop->last_changed = now;
  return Value::Bool(changed);
}

}  // namespace

absl::StatusOr<Value> Interpreter::Call(const Value& callee, const CallArgs& args) {
  switch (callee.kind) {
    case Kind::kUndefined:
      return Error("%s", UndefinedMessage(callee));
    case Kind::kFunction:
      return callee.function->call(*this, callee.function->self, args);
    case Kind::kMacro:
      return CallMacro(*callee.macro, args);
    case Kind::kLoop:
      return CallLoop(*callee.loop, args);
    case Kind::kJoiner: {
      if (callee.joiner->used) return Value::Str(callee.joiner->separator);
      callee.joiner->used = true;
      return TemplateString(arena_, "");
    }
    default:
      return Error("'%s' object is not callable", TypeName(callee));
  }
}

absl::StatusOr<Value> Interpreter::CallMacro(const Macro& macro, const CallArgs& args) {
  if (calls_ >= limits_.max_depth) {
    return Error("calls are nested deeper than the limit of %d", limits_.max_depth);
  }
  ++calls_;
  Scope* const outer = scope_;
  const Flow flow = flow_;
  Scope* const scope = NewScope(macro.scope);
  scope_ = scope;
  absl::Status status = BindArguments(macro, args, scope);
  absl::StatusOr<Value> result =
      status.ok() ? Capture(macro.definition->body, scope) : absl::StatusOr<Value>(status);
  scope_ = outer;
  flow_ = flow;
  --calls_;
  return result;
}

absl::Status Interpreter::BindArguments(const Macro& macro, const CallArgs& args, Scope* scope) {
  const MacroDefinition& definition = *macro.definition;
  for (size_t i = 0; i < definition.parameters.size(); ++i) {
    const MacroDefinition::Parameter& parameter = definition.parameters[i];
    const Value* named = args.FindNamed(parameter.name);
    if (i < args.positional.size() && named != nullptr) {
      return Error("macro '%s' got two values for parameter '%s'", definition.name, parameter.name);
    }
    if (i < args.positional.size()) {
      Bind(scope, parameter.symbol, args.positional[i]);
    } else if (named != nullptr) {
      Bind(scope, parameter.symbol, *named);
    } else if (parameter.default_value != nullptr) {
      BANYAN_ASSIGN_OR_RETURN(const Value value, Eval(*parameter.default_value));
      Bind(scope, parameter.symbol, value);
    } else {
      Bind(scope, parameter.symbol,
           Value::Of(arena_.New<Undefined>(Undefined::Reason::kParameter, "", parameter.name)));
    }
  }
  return BindExtraArguments(macro, args, scope);
}

absl::Status Interpreter::BindExtraArguments(const Macro& macro, const CallArgs& args,
                                             Scope* scope) {
  const MacroDefinition& definition = *macro.definition;
  const size_t num_parameters = definition.parameters.size();
  if (definition.takes_varargs) {
    SequenceBuilder rest(arena_);
    for (size_t i = num_parameters; i < args.positional.size(); ++i)
      rest.Append(args.positional[i]);
    BANYAN_ASSIGN_OR_RETURN(const Value varargs, rest.Finish(Flavor::kTuple));
    Bind(scope, tree_.well_known().varargs, varargs);
  } else if (args.positional.size() > num_parameters) {
    return Error("macro '%s' takes not more than %d argument(s)", definition.name, num_parameters);
  }
  DictBuilder kwargs(arena_);
  for (const auto& [name, value] : args.named) {
    bool is_parameter = false;
    for (const auto& parameter : definition.parameters) is_parameter |= parameter.name == name;
    if (is_parameter) continue;
    if (name == "caller" && definition.takes_caller) {
      Bind(scope, tree_.well_known().caller, value);
    } else if (definition.takes_kwargs) {
      kwargs.Append(name, value);
    } else {
      return Error("macro '%s' takes no keyword argument '%s'", definition.name, name);
    }
  }
  if (definition.takes_kwargs) {
    BANYAN_ASSIGN_OR_RETURN(const Value dict, kwargs.Finish());
    Bind(scope, tree_.well_known().kwargs, dict);
  }
  return absl::OkStatus();
}

absl::StatusOr<Value> Interpreter::CallLoop(const Loop& loop, const CallArgs& args) {
  if (!loop.statement->recursive) {
    return Error("'loop' can be called only in a loop marked 'recursive'");
  }
  if (args.positional.size() != 1 || !args.named.empty()) {
    return Error("loop() takes one argument, what to iterate over");
  }
  if (calls_ >= limits_.max_depth) {
    return Error("calls are nested deeper than the limit of %d", limits_.max_depth);
  }
  ++calls_;
  TextBuilder captured(arena_, limits_.max_output_bytes);
  TextBuilder* const outer = out_;
  out_ = &captured;
  absl::Status status = RunLoop(*loop.statement, args.positional[0], loop.depth + 1, loop.scope);
  if (status.ok()) status = Step(0);
  out_ = outer;
  --calls_;
  if (!status.ok()) return status;
  return captured.FinishValue();
}

absl::StatusOr<Value> Interpreter::LoopAttribute(Loop* loop, std::string_view name) {
  const auto integer = [](size_t n) { return Value::Int(static_cast<int64_t>(n)); };
  Value self;
  self.kind = Kind::kLoop;
  self.loop = loop;
  if (name == "index") return integer(loop->index + 1);
  if (name == "index0") return integer(loop->index);
  if (name == "revindex") return integer(loop->size - loop->index);
  if (name == "revindex0") return integer(loop->size - loop->index - 1);
  if (name == "first") return Value::Bool(loop->index == 0);
  if (name == "last") return Value::Bool(loop->index + 1 == loop->size);
  if (name == "length") return integer(loop->size);
  if (name == "depth") return Value::Int(loop->depth);
  if (name == "depth0") return Value::Int(loop->depth - 1);
  if (name == "cycle") return BoundMethod(self, name, &LoopCycle);
  if (name == "changed") return BoundMethod(self, name, &LoopChanged);
  if (name == "previtem") {
    if (loop->index > 0) return loop->items[loop->index - 1];
    return Value::Of(
        arena_.New<Undefined>(Undefined::Reason::kText, "", "there is no previous item"));
  }
  if (name == "nextitem") {
    if (loop->index + 1 < loop->size) return loop->items[loop->index + 1];
    return Value::Of(arena_.New<Undefined>(Undefined::Reason::kText, "", "there is no next item"));
  }
  return Lacking(self, name, Undefined::Reason::kAttribute);
}

}  // namespace banyan::jinja
