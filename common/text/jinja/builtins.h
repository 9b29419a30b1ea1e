// Names to native functions: Jinja's filters and tests, Python's methods, and the global functions
// of chat templates. Tables are built on first use and immutable then.
#pragma once

#include <string_view>

#include "common/text/jinja/value.h"

namespace banyan::jinja {

// nullptr if there is none.
NativeFunction FindFilter(std::string_view name);
NativeFunction FindTest(std::string_view name);
NativeFunction FindGlobal(std::string_view name);

struct Method {
  NativeFunction call = nullptr;  // nullptr: no such method, or one that the sandbox refuses
  bool unsafe = false;            // exists in Python and changes the object
};
// Of the type of `object`.
Method FindMethod(const Value& object, std::string_view name);

}  // namespace banyan::jinja
