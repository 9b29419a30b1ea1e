// strftime in the C locale: what strftime_now of chat templates gives. Independent of the process's
// locale and of the platform.
#pragma once

#include <ctime>
#include <string>
#include <string_view>

namespace banyan::jinja {

// Unknown directives stay as they are.
std::string FormatTime(const std::tm& time, std::string_view format);

}  // namespace banyan::jinja
