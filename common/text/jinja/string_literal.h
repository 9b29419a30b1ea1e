// The escapes of a Python string literal.
#pragma once

#include <string>
#include <string_view>

namespace banyan::jinja {

// `body`: between the quotes. Unknown escapes stay as they are, as in Python; so does a \u that
// spells half a surrogate pair.
std::string DecodeStringLiteral(std::string_view body);

}  // namespace banyan::jinja
